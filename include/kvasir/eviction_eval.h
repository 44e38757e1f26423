/// @file
/// What eviction policies cost: their distance from the whole cache on text, and what they still find (RULER).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvasir/eval.h"
#include "kvasir/kv_spec.h"
#include "kvasir/options.h"
#include "kvasir/result.h"
#include "kvasir/ruler.h"

namespace kvasir {

/// What to measure. EngineOptions::kv says how all caches are stored and does not evict; context_tokens and
/// kv_budget_bytes are not read there, since `text` and the caches say what is needed.
struct EvictionPlan {
  std::vector<KvSpec> caches;  ///< Each evicts, and is stored like EngineOptions::kv.
  /// The text of the divergence: of each chunk the first three quarters are computed, each cache is brought down to its
  /// budget, and the next tokens up to the chunk's end, kScoredTokens at most, are compared with the whole cache.
  EvalText text;
  static constexpr int kScoredTokens = 512;  ///< Of a chunk, at most.
  /// The questions, of the text's context; no samples: none are asked.
  RulerPlan ruler;
};

/// What one cache costs.
struct EvictionCost {
  KvSpec kv;        ///< As it was given; of the whole cache as it was stored.
  double held = 1;  ///< Bytes of its pages when it was brought down to its budget, over those of the whole cache.
  /// Of the text's tokens, what layers without a window and their heads kept then. More than was asked for where a
  /// policy cannot keep so few.
  double held_tokens = 1;
  /// From the whole cache, which "exact" means here; no seconds.
  DivergenceReport divergence;
  RulerReport ruler;  ///< Without model and configuration.
  /// The mean score of the tasks that the whole cache solves, EvictionReport::solved.
  double solved_score = 0;
  std::optional<Interval> solved_interval;  ///< Of solved_score.
};

/// The caches of an EvictionPlan beside the whole cache.
struct EvictionReport {
  std::string model;               ///< ModelInfo::name.
  std::string configuration;       ///< Of the whole cache, as in DepthReport.
  EvictionCost whole;              ///< Nothing is forgotten: no divergence.
  std::vector<EvictionCost> rows;  ///< In the order of EvictionPlan::caches.
  /// Tasks in which the whole cache finds at least kSolvedScore of what is asked for: only there a cache can lose much.
  std::vector<std::string> solved;
  static constexpr double kSolvedScore = 0.25;  ///< The score from which on a task counts as solved.
  double seconds = 0;                           ///< All of it but loading.
};

/// Computes every text and every prompt once for all caches, which share it until they forget. Each row is what the
/// policy gives alone: its RULER score is that of EvalRuler with this cache. `progress` gets chunks and samples done,
/// and in all, and the share of the work done. Errors: those of EvalDivergence and EvalRuler; no cache, a cache that
/// does not evict or is not stored like the others.
[[nodiscard]] Result<EvictionReport> EvalEviction(const EngineOptions& options, const EvictionPlan& plan,
                                                  const EvalProgress& progress = {});

}  // namespace kvasir
