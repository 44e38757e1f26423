// Random eviction: the base line that says how much a score is worth at the same budget.
//
// A token's luck is a pure function of (seed, layer, head, position), so a run can be repeated, and a token that was
// kept once is kept the next time too, as it would be by a score that measures something.
#include "base/rng.h"
#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {
namespace {

class Random final : public EvictionPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "random"; }
  [[nodiscard]] std::string_view about() const override {
    return "tokens drawn by lot, the same in every run of a seed";
  }
  [[nodiscard]] bool draws() const override { return true; }
  void Score(const HeadEvidence& head, std::span<float> scores) const override {
    const auto stream = static_cast<uint32_t>(head.layer * 4096 + head.kv_head);
    for (size_t i = 0; i < scores.size(); ++i) {
      scores[i] = static_cast<float>(base::RandomUniform(head.seed, static_cast<uint64_t>(head.positions[i]), stream));
    }
  }
};

}  // namespace

const EvictionPolicy& RandomEviction() {
  static const Random kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
