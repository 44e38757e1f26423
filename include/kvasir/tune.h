/// @file
/// Finding the cache that suits a model, a text and a wish, by measuring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvasir/eval.h"
#include "kvasir/inspect.h"
#include "kvasir/kv_spec.h"
#include "kvasir/options.h"
#include "kvasir/result.h"

namespace kvasir {

/// What the cache has to satisfy: one of the two.
struct TuneGoal {
  /// The fewest bytes whose mean KLD is at most this, at the upper end of its interval.
  std::optional<double> max_kld;
  /// The lowest mean KLD of those whose peak bytes are at most this.
  std::optional<size_t> kv_bytes;
};

/// The caches that are tried where nobody says which: f16, q8, the codecs of 5 to 2 bits, keys and values apart, and
/// with `layers` (the model was calibrated with its layers' losses) bits by layer.
[[nodiscard]] std::vector<KvSpec> TuneCandidates(bool layers);
/// Those that forget by the eviction policy `name`: q8 and ch4 that keep half and a quarter. Errors: kInvalidArgument
/// for a policy that does not exist, naming those that do.
[[nodiscard]] Result<std::vector<KvSpec>> EvictingCandidates(const std::string& name);

/// What to tune, and among which caches.
struct TuneOptions {
  /// Its cache is ignored. Speed is measured with its compute mode; quality in precise mode, so that it is the cache's
  /// alone, or in exact mode where that is asked for.
  EngineOptions engine;
  EvalText text;               ///< `context` is the context that is tuned for; at least two chunks.
  TuneGoal goal;               ///< What the chosen one satisfies.
  std::vector<KvSpec> caches;  ///< What is tried.
};

/// What became of a cache that was tried.
enum class TuneFate {
  kMeasured,   ///< On all chunks, and its speed.
  kTooLarge,   ///< Its peak bytes exceed the goal: nothing was measured.
  kOverLimit,  ///< Its KLD is surely above the goal: not measured further.
  kDominated,  ///< Another one has no more bytes, surely less KLD and is not slower: not measured further.
};

/// A cache that was tried.
struct TuneRow {
  /// The cache, and what it takes; where it evicts and was measured, its bits per element are those of held_bytes.
  CacheSize size;
  TuneFate fate = TuneFate::kMeasured;  ///< What became of it.
  std::optional<size_t> dominated_by;   ///< Index of the row.
  DivergenceReport divergence;          ///< Of the chunks that it was measured on; none where `chunks` is 0.
  /// Bytes that were held at the end of a chunk; with an eviction policy, which has evicted at the chunk's half and
  /// from then on, not those of size.bytes.
  size_t held_bytes = 0;
  double tokens_per_second = 0;      ///< Of decoding behind the context: median; 0 where it was not measured.
  double min_tokens_per_second = 0;  ///< Of the slowest turn.
  double max_tokens_per_second = 0;  ///< Of the fastest turn.
  bool on_frontier = false;          ///< No row measured on as many chunks has fewer bytes and a lower mean KLD.
};

/// What will be computed, before it is.
struct TuneCost {
  int caches = 0;       ///< That will be measured: those too large for the goal are not.
  int chunks = 0;       ///< At most, of each cache.
  int context = 0;      ///< Tokens of a chunk.
  double seconds = 0;   ///< If none is given up, by a first measurement; without the slowing down with depth.
  size_t kv_bytes = 0;  ///< Of all caches at once.
};

/// How far it is.
struct TuneStep {
  std::string what;  ///< Such as "chunk 2 of 8, 9 caches".
  double share = 0;  ///< Of the work, 0 to 1.
};

/// Called on the caller's thread; each may be empty.
struct TuneCallbacks {
  std::function<void(const TuneCost&)> on_cost;  ///< Once, after loading.
  /// Return false to stop: what was measured is kept.
  std::function<bool(const TuneStep&)> on_step;
};

/// What was measured, and which cache was chosen.
struct TuneReport {
  std::string model;                                    ///< ModelInfo::name.
  std::string isa;                                      ///< Engine::isa().
  ComputeMode quality_compute = ComputeMode::kPrecise;  ///< With which divergence was measured.
  ComputeMode speed_compute = ComputeMode::kBalanced;   ///< With which speed was.
  int threads = 0;                                      ///< EngineOptions::threads, the default filled in.
  int context = 0;                                      ///< EvalText::context.
  int chunks = 0;                                       ///< That were measured.
  bool interrupted = false;                             ///< By on_step.
  std::vector<TuneRow> rows;                            ///< In the order of TuneOptions::caches.
  std::optional<size_t> chosen;  ///< Index of the row; none where no cache that was measured satisfies the goal.
  double seconds = 0;            ///< All of it, loading included.
};

/// Measures the caches in lock-step with exact mode, gives up in rounds those that cannot be chosen and are of no other
/// interest, measures the speed of the rest in turns, and chooses. Errors: those of EvalDivergences; a goal that is
/// none or two; fewer than two chunks; nothing that fits the bytes; kCancelled when it was stopped before two chunks.
[[nodiscard]] Result<TuneReport> Tune(const TuneOptions& options, const TuneCallbacks& callbacks = {});

}  // namespace kvasir
