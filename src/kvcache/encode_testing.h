// What tests of encoders share: random halves, and the way back through the packed page.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "kernels/compact_codes.h"

namespace kvasir::kvcache {

/// [64][D], features of different sizes and means, as keys have them, with a few far tokens.
inline std::vector<float> RandomHalf(int head_dim, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> mean(static_cast<size_t>(head_dim));
  std::vector<float> size(static_cast<size_t>(head_dim));
  for (float& m : mean) m = 2 * normal(engine);
  for (float& s : size) s = std::exp(normal(engine));
  std::vector<float> x;
  for (int t = 0; t < kernels::kPageTokens; ++t) {
    const float far = t % 20 == 7 ? 3.0F : 1.0F;
    for (size_t d = 0; d < mean.size(); ++d) x.push_back(mean[d] + far * size[d] * normal(engine));
  }
  return x;
}

/// What attention will read: packed and unpacked, in the stored frame, [64][D].
inline std::vector<float> Decoded(const kernels::CompactHalf& half, int head_dim, const kernels::HalfCodes& codes) {
  std::vector<std::byte> page(kernels::HalfBytes(half, head_dim));
  kernels::PackHalf(half, /*keys=*/true, head_dim, codes, page.data());
  std::vector<float> x(codes.codes.size());
  kernels::UnpackHalf(half, /*keys=*/true, head_dim, page.data(), x.data());
  return x;
}

/// Sum over the tokens of e' H e, e = decoded - x.
inline double MetricLoss(int head_dim, const std::vector<double>& h, const std::vector<float>& x,
                         const std::vector<float>& decoded) {
  const auto dim = static_cast<size_t>(head_dim);
  double loss = 0;
  for (size_t t = 0; t < x.size() / dim; ++t) {
    for (size_t i = 0; i < dim; ++i) {
      for (size_t j = 0; j < dim; ++j) {
        loss += h[i * dim + j] * (double{decoded[t * dim + i]} - double{x[t * dim + i]}) *
                (double{decoded[t * dim + j]} - double{x[t * dim + j]});
      }
    }
  }
  return loss;
}

/// The second moment of `queries` random directions: far from round, as those of a trained model.
inline std::vector<double> RandomMetric(int head_dim, int queries, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  const auto dim = static_cast<size_t>(head_dim);
  std::vector<double> h(dim * dim, 0);
  for (int q = 0; q < queries; ++q) {
    std::vector<double> direction(dim);
    for (double& value : direction) value = normal(engine);
    for (size_t i = 0; i < dim; ++i) {
      for (size_t j = 0; j < dim; ++j) h[i * dim + j] += direction[i] * direction[j];
    }
  }
  return h;
}

}  // namespace kvasir::kvcache
