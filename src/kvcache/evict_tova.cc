// TOVA, token omission via attention (Oren et al., arXiv:2401.06104): the tokens to which the last row attends.
//
// The idea: a decoder with a bounded cache is a recurrent network whose states are tokens; drop the one that matters
// least to the current step. A layer's heads agree: the score is the last query's attention, averaged over all query
// heads of the layer, and all heads keep the same tokens. The paper drops one token per step; here as many as are over
// the budget go at once, by the attention of the row that was last.
#include "kvcache/attention_weights.h"
#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {
namespace {

class Tova final : public EvictionPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "tova"; }
  [[nodiscard]] std::string_view about() const override {
    return "what the last token attends to, the same in all heads";
  }
  [[nodiscard]] EvictionNeeds needs() const override { return {.window_queries = 1}; }

  void Score(const HeadEvidence& head, std::span<float> scores) const override {
    MeanAttention(head, head.query_positions.size() - 1, scores);
  }

  // All heads have forgotten the same tokens before, so their scores stand in the same order.
  void Agree(std::span<std::vector<float>> heads) const override {
    std::vector<float> mean(heads.front().size());
    for (const std::vector<float>& head : heads) {
      for (size_t i = 0; i < mean.size(); ++i) mean[i] += head[i] / static_cast<float>(heads.size());
    }
    for (std::vector<float>& head : heads) head = mean;
  }
};

}  // namespace

const EvictionPolicy& TovaEviction() {
  static const Tova kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
