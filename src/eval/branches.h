// One text computed once, and what several eviction policies make of it.
//
// The problem: a comparison of twenty ways to forget would compute every prompt twenty times, though nothing is
// forgotten before its end. The idea: a trunk is computed once and with every token kept, while all that any of the
// policies asks for is recorded; each policy then starts from a fork, which shares the trunk's pages until it copies
// what it keeps. Branches compute their rows together, so the weights are read once for all of them. Because the bits
// of a row do not depend on the batch, a branch computes what a session of its own would.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/attention_record.h"
#include "engine/cache_evictor.h"
#include "kvasir/engine.h"
#include "kvcache/kv_sequence.h"

namespace kvasir::eval {

/// For one thread. The bytes of the engine's cache have to be enough for the trunk and for all branches that live at a
/// time; BranchBytes says how many.
class Branches {
 public:
  /// Caches that are stored like the engine's (they differ in eviction alone), one for each branch. Errors:
  /// kInvalidArgument naming one that is stored otherwise.
  [[nodiscard]] static Result<Branches> Create(std::shared_ptr<Engine> engine, std::span<const KvSpec> caches);

  [[nodiscard]] size_t size() const { return branches_.size(); }
  /// Ends all branches, and computes `tokens` as the new trunk.
  [[nodiscard]] Status Grow(std::span<const int32_t> tokens);
  /// Starts a branch from the trunk and brings it down to its budget.
  [[nodiscard]] Status Start(size_t branch);
  void End(size_t branch) {
    branches_[branch].sequence.reset();
    branches_[branch].evictor.reset();
  }
  /// Bytes of the pages of a started branch, those that it shares included.
  [[nodiscard]] size_t bytes(size_t branch) const { return branches_[branch].sequence->bytes(); }
  /// The share of the trunk's tokens that the heads of layers without a window hold in a branch that was just started.
  [[nodiscard]] double tokens_held(size_t branch) const;

  struct Work {
    size_t branch;  ///< A started one; each once.
    std::span<const int32_t> tokens;
    int first_logits;  ///< Logits are given of tokens from this index on.
  };
  /// Called with an index into the list of work, an index into its tokens and the logits [V] there: for one branch in
  /// order and one after the other, for several of them side by side.
  using OnLogits = std::function<void(size_t work, int index, std::span<const float> logits)>;
  /// Computes tokens behind what the branches hold.
  [[nodiscard]] Status Run(std::span<const Work> work, const OnLogits& on_logits);

 private:
  struct Branch {
    KvSpec spec;
    std::optional<kvcache::KvSequence> sequence;
    std::unique_ptr<CacheEvictor> evictor;  // null: every token is kept
  };

  Branches(std::shared_ptr<Engine> engine, kvcache::KvSequence trunk)
      : engine_(std::move(engine)), trunk_(std::move(trunk)) {}
  [[nodiscard]] int Take(const Branch& branch, size_t remaining, int room) const;

  std::shared_ptr<Engine> engine_;
  kvcache::KvSequence trunk_;
  std::optional<AttentionRecord> record_;  // of the trunk: all that any branch needs
  std::vector<Branch> branches_;
};

/// The bytes that the engine of `options` needs for a trunk of its context and branches with `caches` at a time.
[[nodiscard]] Result<size_t> BranchBytes(const EngineOptions& options, std::span<const KvSpec> caches);

}  // namespace kvasir::eval
