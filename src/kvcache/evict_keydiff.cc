// KeyDiff (Park et al., arXiv:2504.15364): the keys that are least like the others.
//
// The idea: keys that point where all keys point say little that the others do not; those that stand apart were seen to
// be attended to. The score is minus the cosine between a key and the mean direction of all keys of the head. No query
// is needed, so it works also where the question is not known yet.
#include <cmath>

#include "kvcache/attention_weights.h"
#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {
namespace {

float InverseNorm(const float* x, int n) {
  const float square = Dot(x, x, n);
  return square > 0 ? 1 / std::sqrt(square) : 0;
}

class KeyDiff final : public EvictionPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "keydiff"; }
  [[nodiscard]] std::string_view about() const override { return "the keys least like the mean of all keys"; }
  void Score(const HeadEvidence& head, std::span<float> scores) const override {
    const int d = head.head_dim;
    const auto key = [&](size_t i) { return head.keys.data() + i * static_cast<size_t>(d); };
    std::vector<float> mean(static_cast<size_t>(d));
    for (size_t i = 0; i < head.positions.size(); ++i) {
      const float inverse = InverseNorm(key(i), d);
      for (int f = 0; f < d; ++f) mean[static_cast<size_t>(f)] += inverse * key(i)[f];
    }
    const float inverse_mean = InverseNorm(mean.data(), d);
    for (size_t i = 0; i < scores.size(); ++i) {
      scores[i] = -Dot(key(i), mean.data(), d) * InverseNorm(key(i), d) * inverse_mean;
    }
  }
};

}  // namespace

const EvictionPolicy& KeyDiffEviction() {
  static const KeyDiff kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
