// The elementwise kernels in plain C++: the oracle of the vector versions. Sums run in double and each function is
// written the way its formula reads.
#include <algorithm>
#include <cmath>

#include "kernels/ref/ref.h"

namespace kvasir::kernels::ref {

void RmsNorm(const float* x, const float* weight, int64_t n, float eps, float* out) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  const double inverse = 1.0 / std::sqrt(sum / static_cast<double>(n) + eps);
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(x[i] * inverse * weight[i]);
}

void SiluMul(float* gate, const float* up, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double g = gate[i];
    gate[i] = static_cast<float>(g / (1.0 + std::exp(-g)) * up[i]);
  }
}

void GeluMul(float* gate, const float* up, int64_t n) {
  constexpr double kSqrt2OverPi = 0.79788456080286535588;
  for (int64_t i = 0; i < n; ++i) {
    const double g = gate[i];
    const double inner = kSqrt2OverPi * (g + 0.044715 * g * g * g);
    gate[i] = static_cast<float>(0.5 * g * (1.0 + std::tanh(inner)) * up[i]);
  }
}

void LayerNorm(const float* x, const float* weight, const float* bias, int64_t n, float eps, float* out) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(n);
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(n) + eps);
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>((x[i] - mean) * inverse * weight[i] + bias[i]);
}

void GeluErf(float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double v = x[i];
    x[i] = static_cast<float>(0.5 * v * std::erfc(-v * 0.70710678118654752440));
  }
}

void Softmax(float* x, int64_t n) {
  double most = x[0];
  for (int64_t i = 1; i < n; ++i) most = std::max<double>(most, x[i]);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i] - most);
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(std::exp(x[i] - most) / sum);
}

void Add(float* x, const float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += y[i];
}

void Scale(float* x, float s, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] *= s;
}

void Softcap(float* x, float cap, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(cap * std::tanh(static_cast<double>(x[i]) / cap));
  }
}

void Rope(float* x, const float* cos, const float* sin, int n_rot, bool neox) {
  const int half = n_rot / 2;
  for (int i = 0; i < half; ++i) {
    float& a = x[neox ? i : 2 * i];
    float& b = x[neox ? i + half : 2 * i + 1];
    const double rotated_a = static_cast<double>(a) * cos[i] - static_cast<double>(b) * sin[i];
    const double rotated_b = static_cast<double>(a) * sin[i] + static_cast<double>(b) * cos[i];
    a = static_cast<float>(rotated_a);
    b = static_cast<float>(rotated_b);
  }
}

}  // namespace kvasir::kernels::ref
