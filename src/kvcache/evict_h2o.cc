// H2O, heavy-hitter oracle (Zhang et al., arXiv:2306.14048): the tokens that were paid most attention so far.
//
// The idea: attention is paid to few tokens again and again. Sum the attention of every row, and keep half of the
// budget by that sum and half as a recent window (the paper's split: 10 % and 10 % of the text). The sums favour old
// tokens, which more rows have seen, and attention has to be computed a second time to be summed, because the kernels
// never form it: both are the technique's own. Grouped heads add up. The paper drops a token per step; we drop them
// when the engine says, in order of the same sums.
#include <algorithm>

#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {
namespace {

class H2o final : public EvictionPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "h2o"; }
  [[nodiscard]] std::string_view about() const override {
    return "half by all attention paid so far, half the most recent";
  }
  [[nodiscard]] EvictionNeeds needs() const override { return {.attention_mass = true}; }
  [[nodiscard]] int Recent(int budget) const override { return std::max(EvictionPolicy::Recent(budget), budget / 2); }
  void Score(const HeadEvidence& head, std::span<float> scores) const override {
    std::copy_n(head.attention_mass.begin(), scores.size(), scores.begin());
  }
};

}  // namespace

const EvictionPolicy& H2oEviction() {
  static const H2o kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
