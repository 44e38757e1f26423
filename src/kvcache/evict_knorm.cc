// KNorm (Devoto et al., arXiv:2406.11430): the keys with the smallest norm.
//
// The idea: a key of small L2 norm was seen to attract much attention in the middle layers of many models, so the norm
// alone is a score that needs no query. Cheap, blind to the question, and weaker than scores that see attention.
#include <cmath>

#include "kvcache/attention_weights.h"
#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {
namespace {

class KeyNorm final : public EvictionPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "knorm"; }
  [[nodiscard]] std::string_view about() const override { return "the keys with the smallest norm"; }
  void Score(const HeadEvidence& head, std::span<float> scores) const override {
    for (size_t i = 0; i < scores.size(); ++i) {
      const float* key = head.keys.data() + i * static_cast<size_t>(head.head_dim);
      scores[i] = -std::sqrt(Dot(key, key, head.head_dim));
    }
  }
};

}  // namespace

const EvictionPolicy& KeyNormEviction() {
  static const KeyNorm kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
