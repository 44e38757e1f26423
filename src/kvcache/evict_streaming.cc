// StreamingLLM (Xiao et al., arXiv:2309.17453): the first tokens and the most recent ones.
//
// The problem: a window of recent tokens alone breaks a model, because softmax has to put its weight somewhere and most
// heads have learned to leave what they do not need on the first tokens. The idea: keep those (4 in the paper), and a
// window. It costs nothing and forgets everything in between, which is the base line that others have to beat. "recent"
// is the same without sinks, to show what they are worth.
//
// The paper numbers the positions within the cache anew, so that a text may be longer than the model's context. Here
// tokens keep the positions that they were computed at, as with all policies: a text ends at the model's context.
#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {
namespace {

class Streaming : public EvictionPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "streaming"; }
  [[nodiscard]] std::string_view about() const override { return "the first 4 tokens and the most recent"; }
  void Score(const HeadEvidence& head, std::span<float> scores) const override {
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(head.positions[i]);
  }
};

class Recent final : public Streaming {
 public:
  [[nodiscard]] std::string_view name() const override { return "recent"; }
  [[nodiscard]] std::string_view about() const override { return "the most recent tokens alone"; }
  [[nodiscard]] int sinks() const override { return 0; }
};

}  // namespace

const EvictionPolicy& StreamingEviction() {
  static const Streaming kPolicy;
  return kPolicy;
}

const EvictionPolicy& RecentEviction() {
  static const class Recent kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
