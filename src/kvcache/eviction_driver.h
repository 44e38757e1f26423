// Bringing a sequence down to a budget by a policy.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kvcache/eviction_policy.h"
#include "kvcache/kv_sequence.h"

namespace kvasir::kvcache {

/// The attention of a model, as far as policies ask for it.
struct AttentionTraits {
  int heads = 0;  ///< H
  float scale = 1;
  float softcap = 0;
  std::vector<KeyRope> ropes;      ///< The distinct rotations.
  std::vector<int> rope_of_layer;  ///< [L] index into `ropes`.
};

/// What was recorded of one KV head; see HeadEvidence for the shapes. Spans are empty where nothing was asked for.
struct HeadRecord {
  std::span<const float> queries;
  std::span<const int32_t> query_positions;
  std::span<const float> attention_mass;
  std::span<const float> query_mean;
  std::span<const float> query_covariance;
};

/// Where a driver finds the records of a sequence, and is told of what became of its tokens.
class EvictionRecords {
 public:
  virtual ~EvictionRecords() = default;
  /// Valid until the next step of the sequence. Called from several threads for different heads.
  [[nodiscard]] virtual HeadRecord Read(int layer, int kv_head) = 0;
  /// Of the first `candidates[head]` tokens of each head only those at the places kept[head] are left.
  virtual void Keep(int layer, std::span<const int> candidates, std::span<const std::vector<int32_t>> kept) = 0;
};

/// The places of the scored tokens that stay, ascending: those at positions below `sinks`, and of the others the
/// `count` with the highest scores; of equal scores the later token. What is no number counts as the lowest.
/// positions and scores have the same size.
[[nodiscard]] std::vector<int32_t> ChoosePlaces(std::span<const int32_t> positions, std::span<const float> scores,
                                                int sinks, int count);

/// Turns a stored key by `delta` positions as the model does it, whatever YaRN multiplies keys with: the key has that
/// already. For one thread; refers to `traits`.
[[nodiscard]] RotateKey TurnKeysBy(const AttentionTraits& traits);

/// The fewest tokens that a policy which renumbers leaves: all layers count positions alike, so what a layer with a
/// window sees has to stay in every layer. 0 where no layer has a window, or the policy does not renumber.
[[nodiscard]] int LeastBudget(const EvictionPolicy& policy, const KvShape& shape);

/// How many tokens a policy that renumbers drops of `length`: whole pages behind the sinks, of which the last `recent`
/// tokens are none.
[[nodiscard]] int64_t TokensToDrop(const EvictionPolicy& policy, const KvShape& shape, int64_t length, int budget,
                                   int recent);

/// Makes each head of every layer without a window hold `budget` tokens, as the policy divides them, or as many as it
/// holds if that is less. The first tokens and the recent ones stay in any case: up to policy.sinks() and
/// policy.Recent(budget) + 63 tokens, even where the budget is less. Scores the heads of a layer over the threads of
/// `pool`. `records` may be null where the policy needs none. Between steps only.
///
/// A policy that renumbers leaves the sequence shorter, by whole pages behind the sinks: with at most
/// max(budget, LeastBudget) tokens and at most 63 fewer, or what the sinks and KvOptions::recent need if that is more.
/// It copies shared pages that move, all or nothing, and observers hear nothing of the sequence any more.
///
/// Layers are done one by one. kResourceExhausted where there is no room for the copies of what a layer keeps: then the
/// layers before it are done, and a later call goes on. `seed`: of policies that draw lots.
[[nodiscard]] Status EvictToBudget(KvSequence& sequence, const EvictionPolicy& policy, const AttentionTraits& traits,
                                   int budget, EvictionRecords* records, base::ThreadPool& pool, uint64_t seed = 1);

}  // namespace kvasir::kvcache
