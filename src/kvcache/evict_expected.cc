// Expected Attention (Devoto et al., arXiv:2510.00636): the tokens to which future queries are expected to attend.
//
// The problem: attention so far says what past rows wanted. The idea: queries before RoPE are close to normal with mean
// mu and covariance S, which the prompt shows; future ones differ by the rotation of their position. With R the mean
// rotation over the next 512 positions and s the scale of the scores, exp(s q.k) has the expectation
//   exp(s k.R mu + s^2/2 k.R S R^T k),
// which is normalised over the keys, averaged over the heads that share a KV head, and multiplied by the norm of the
// value: what a token would add to the output. The first 4 rows, whose queries are outliers, are not counted, nor do
// the first 4 keys, which stay anyway, take part in the softmax: most of it would be theirs, in some heads of a group
// more than in others. As in the authors' code epsilon is 0 and the output projection is left out. A soft cap of the
// scores is not considered.
#include <algorithm>
#include <cmath>

#include "kernels/kernels.h"
#include "kvcache/attention_weights.h"
#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {
namespace {

constexpr int kFuturePositions = 512;

struct MeanRotation {
  std::vector<float> cos;  // [n_rot/2]
  std::vector<float> sin;
};

// The mean over t = 0..F-1 of the rotation by (length + t) * w is a geometric series: the rotation by the middle
// position, times sin(F w/2) / (F sin(w/2)).
MeanRotation RotationOfTheFuture(const KeyRope& rope, int32_t length) {
  MeanRotation mean;
  const double middle = length + (kFuturePositions - 1) / 2.0;
  for (const double frequency : rope.frequencies) {
    const double half = std::sin(frequency / 2);
    const double shrink =
        std::abs(half) < 1e-12 ? 1 : std::sin(kFuturePositions * frequency / 2) / (kFuturePositions * half);
    const double magnitude = shrink * static_cast<double>(rope.magnitude);
    mean.cos.push_back(static_cast<float>(magnitude * std::cos(middle * frequency)));
    mean.sin.push_back(static_cast<float>(magnitude * std::sin(middle * frequency)));
  }
  return mean;
}

class Expected final : public EvictionPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "expected"; }
  [[nodiscard]] std::string_view about() const override {
    return "what the next 512 queries will attend to if they are like those so far";
  }
  [[nodiscard]] EvictionNeeds needs() const override { return {.query_statistics = true}; }

  void Score(const HeadEvidence& head, std::span<float> scores) const override {
    const auto d = static_cast<size_t>(head.head_dim);
    const size_t n = head.positions.size();
    const auto first = static_cast<size_t>(std::ranges::lower_bound(head.positions, sinks()) - head.positions.begin());
    const kernels::KernelTable& kernels = kernels::TableOf(kernels::ChosenIsa());
    // R^T k: the products with mu and S are then those of queries before RoPE.
    MeanRotation back = RotationOfTheFuture(*head.rope, head.length);
    for (float& sin : back.sin) sin = -sin;
    std::vector<float> keys(head.keys.begin(), head.keys.end());
    for (size_t i = 0; i < n; ++i) {
      kernels.rope(keys.data() + i * d, back.cos.data(), back.sin.data(), static_cast<int>(2 * back.cos.size()),
                   head.rope->neox);
    }
    std::ranges::fill(scores, 0.0F);
    std::vector<float> spread(n * d);
    std::vector<float> attention(n);
    for (size_t g = 0; g < static_cast<size_t>(head.group); ++g) {
      const DenseRows covariance(head.query_covariance.subspan(g * d * d, d * d), head.head_dim);
      covariance.Times(keys, spread);
      for (size_t i = 0; i < n; ++i) {
        const float* key = keys.data() + i * d;
        const float mean = head.scale * Dot(key, head.query_mean.data() + g * d, head.head_dim);
        const float variance = head.scale * head.scale * Dot(key, spread.data() + i * d, head.head_dim);
        attention[i] = mean + variance / 2;
      }
      std::fill_n(attention.begin(), first, 0.0F);
      kernels.softmax(attention.data() + first, static_cast<int64_t>(n - first));
      for (size_t i = 0; i < scores.size(); ++i) scores[i] += attention[i] / static_cast<float>(head.group);
    }
    for (size_t i = 0; i < scores.size(); ++i) {
      const float* value = head.values.data() + i * d;
      scores[i] *= std::sqrt(Dot(value, value, head.head_dim));
    }
  }
};

}  // namespace

const EvictionPolicy& ExpectedEviction() {
  static const Expected kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
