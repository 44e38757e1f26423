// Eviction policies: which tokens a head may forget.
//
// A policy scores tokens per (layer, KV head); eviction_driver.h keeps the first tokens, the recent ones and those with
// the highest scores, and really frees the rest. One technique is one file evict_*.cc and one line in
// eviction_policies.cc; docs/eviction.md shows how to write one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"
#include "kvcache/key_rotation.h"

namespace kvasir::kvcache {

/// What a policy wants recorded while the model runs. Only that is collected.
struct EvictionNeeds {
  int window_queries = 0;         ///< The last so many queries of each layer.
  bool query_statistics = false;  ///< Mean and covariance of all queries before RoPE.
  bool attention_mass = false;    ///< The attention that each held token was paid so far.

  /// Sums over all rows: they cannot be had of rows that were taken from a cache instead of being computed.
  [[nodiscard]] bool sums() const { return query_statistics || attention_mass; }
  [[nodiscard]] bool any() const { return window_queries > 0 || sums(); }
};

/// All that is known of one (layer, KV head). n tokens are held; G query heads share the KV head; D is the head size.
struct HeadEvidence {
  int layer = 0;
  int kv_head = 0;
  int head_dim = 0;
  int group = 1;       ///< G
  float scale = 1;     ///< Of the scores.
  float softcap = 0;   ///< 0 = off.
  int32_t length = 0;  ///< The position of the next token.
  int candidates = 0;  ///< The first so many of the n are to be scored; the others stay in any case.
  uint64_t seed = 1;   ///< Of policies that draw lots.

  std::span<const int32_t> positions;  ///< [n] ascending.
  std::span<const float> keys;         ///< [n, D] rotated, as attention sees them.
  std::span<const float> values;       ///< [n, D]

  // Empty where the policy did not ask for them.
  std::span<const float> queries;  ///< [W, G, D] rotated and not scaled, oldest first; W may be less at first.
  std::span<const int32_t> query_positions;  ///< [W]
  std::span<const float> attention_mass;     ///< [n] summed over all rows and the group.
  std::span<const float> query_mean;         ///< [G, D] before RoPE.
  std::span<const float> query_covariance;   ///< [G, D, D]
  const KeyRope* rope = nullptr;             ///< Never null.
};

/// One technique. Immutable; all functions are thread-safe.
class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;
  /// One line for a user.
  [[nodiscard]] virtual std::string_view about() const = 0;
  [[nodiscard]] virtual EvictionNeeds needs() const { return {}; }

  /// Whether scores are lots, which HeadEvidence::seed decides.
  [[nodiscard]] virtual bool draws() const { return false; }

  /// Tokens at the start that are always kept.
  [[nodiscard]] virtual int sinks() const { return 4; }
  /// Whether what stays is numbered anew, without a gap, as if the rest had never been: then a text may be longer than
  /// the model's context. Such a policy keeps its sinks, rounded up to whole pages, and the most recent tokens, the
  /// same in all layers and heads; nothing is scored.
  [[nodiscard]] virtual bool renumbers() const { return false; }
  /// Tokens at the end that are always kept, under a budget of so many tokens per head.
  [[nodiscard]] virtual int Recent(int budget) const;
  /// Tokens that each head of the layer number `index` (of `layers` without a window) keeps on average, of `length`.
  [[nodiscard]] virtual int LayerBudget(int budget, int32_t length, int index, int layers) const;

  /// Scores the first head.candidates tokens; the highest are kept.
  virtual void Score(const HeadEvidence& head, std::span<float> scores) const = 0;
  /// Sees the scores of all heads of a layer; may change them.
  virtual void Agree(std::span<std::vector<float>> heads) const;
  /// How many scored tokens each head keeps where each would keep `each`. Heads may hold fewer; together they must not
  /// keep more than if each kept `each`.
  [[nodiscard]] virtual std::vector<int> DivideHeads(std::span<const std::vector<float>> heads, int each) const;
};

/// All of them.
[[nodiscard]] std::span<const EvictionPolicy* const> EvictionPolicies();
/// The one called `name`; kNotFound with the names there are.
[[nodiscard]] Result<const EvictionPolicy*> FindEvictionPolicy(std::string_view name);
/// "streaming, recent, ..."
[[nodiscard]] std::string EvictionPolicyNames();

}  // namespace kvasir::kvcache
