// StreamingLLM (Xiao et al., arXiv:2309.17453): the first tokens and the most recent ones.
//
// The problem: a window of recent tokens alone breaks a model, because softmax has to put its weight somewhere and most
// heads have learned to leave what they do not need on the first tokens. The idea: keep those (4 in the paper), and a
// window. It costs nothing and forgets everything in between, which is the base line that others have to beat. "recent"
// is the same without sinks, to show what they are worth.
//
// What stays is numbered anew, as in the paper: a token's position is its place in the cache. So no distance is larger
// than the cache, and a text may be longer than the context that the model was trained for. The cache shifts its
// context (context_shift.cc): whole pages behind the sinks go, and the keys behind them turn by the gap. Keys that are
// stored before RoPE do not even have to turn. Where we differ: the sinks are rounded up to a page of 64 tokens, which
// then stays as it is for ever, instead of being turned, and rounded, again and again.
//
// "recent" keeps the positions of the whole text, as all other policies do, and ends at the model's context.
#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {
namespace {

class Streaming : public EvictionPolicy {
 public:
  [[nodiscard]] std::string_view name() const override { return "streaming"; }
  [[nodiscard]] std::string_view about() const override { return "the first page and the most recent, numbered anew"; }
  [[nodiscard]] bool renumbers() const override { return true; }
  void Score(const HeadEvidence& head, std::span<float> scores) const override {
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(head.positions[i]);
  }
};

class Recent final : public Streaming {
 public:
  [[nodiscard]] std::string_view name() const override { return "recent"; }
  [[nodiscard]] std::string_view about() const override { return "the most recent tokens alone"; }
  [[nodiscard]] int sinks() const override { return 0; }
  [[nodiscard]] bool renumbers() const override { return false; }
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
