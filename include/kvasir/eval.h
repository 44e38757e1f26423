// Measuring quality: perplexity, agreement with reference logits, divergence from exact mode.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvasir/options.h"
#include "kvasir/result.h"

namespace kvasir {

/// The 95 % interval of a mean by the percentile bootstrap: the middle of the means of kBootstrapResamples draws of as
/// many chunks (or samples) as were measured, with replacement. There is none for fewer than two.
struct Interval {
  double low = 0;
  double high = 0;
};
inline constexpr int kBootstrapResamples = 2000;

/// Called after each chunk with chunks done, chunks in all and the running value. Return false to stop with kCancelled.
using EvalProgress = std::function<bool(int done, int total, double running)>;

/// The text of an evaluation and how it is cut: non-overlapping chunks of `context` tokens, the second half of each is
/// scored, and where the model adds a beginning-of-text token it overwrites the first token of every chunk.
struct EvalText {
  std::string text;
  int context = 512;
  int max_chunks = 0;  ///< 0: all
  uint64_t seed = 1;   ///< Of the bootstrap: the same seed gives the same intervals.
};

struct PerplexityReport {
  double perplexity = 0;
  double standard_error = 0;
  std::optional<Interval> interval;  ///< of the perplexity
  int64_t tokens = 0;                ///< scored
  int chunks = 0;
  int context = 0;
  double seconds = 0;
};
/// Errors: a context below 8 or above the model's, a text shorter than two chunks' worth of tokens.
[[nodiscard]] Result<PerplexityReport> EvalPerplexity(const EngineOptions& options, const EvalText& text,
                                                      const EvalProgress& progress = {});

struct GoldenReport {
  double mean_kld = 0;
  double max_kld = 0;
  double same_top = 0;           ///< Share of positions with the same most likely token, 0..1.
  double max_abs_nll_error = 0;  ///< Over every scored token of every prompt.
  int positions = 0;             ///< Positions with reference logits.
  int64_t tokens = 0;            ///< Tokens with a reference loss.
};
/// Compares with the reference logits in `directory` (golden.json and NAME.logits.f16).
[[nodiscard]] Result<GoldenReport> EvalGolden(const EngineOptions& options, const std::string& directory);

struct DivergenceReport {
  double mean_kld = 0;
  std::optional<Interval> mean_kld_interval;
  double median_kld = 0;
  double p99_kld = 0;
  double max_kld = 0;
  double same_top = 0;
  std::optional<Interval> same_top_interval;
  double perplexity = 0;  ///< of this configuration
  std::optional<Interval> perplexity_interval;
  double exact_perplexity = 0;  ///< of exact mode
  /// perplexity / exact_perplexity, from the same chunks each time: far surer than either of the two.
  double perplexity_ratio = 0;
  std::optional<Interval> perplexity_ratio_interval;
  int64_t tokens = 0;
  int chunks = 0;
  double seconds = 0;        ///< spent in this configuration
  double exact_seconds = 0;  ///< spent in exact mode
};
/// Runs `options` and exact mode in lock-step over `text` and compares the distributions at every scored position.
[[nodiscard]] Result<DivergenceReport> EvalDivergence(const EngineOptions& options, const EvalText& text,
                                                      const EvalProgress& progress = {});
/// The same for each of `caches` in place of EngineOptions::kv, over one pass of exact mode: chunk by chunk, in turns,
/// all with the same weights. Each report is what EvalDivergence gives for that cache, but for the seconds; the running
/// value is that of the first. Takes the memory of all caches at once. Errors: as EvalDivergence; no cache.
[[nodiscard]] Result<std::vector<DivergenceReport>> EvalDivergences(const EngineOptions& options,
                                                                    std::span<const KvSpec> caches,
                                                                    const EvalText& text,
                                                                    const EvalProgress& progress = {});

/// The divergence at neighbouring positions of all chunks.
struct DepthBucket {
  int first = 0;  ///< Tokens before the first position of the bucket, and the last.
  int last = 0;
  double mean_kld = 0;
  std::optional<Interval> mean_kld_interval;
  double p99_kld = 0;
  double same_top = 0;
  int64_t tokens = 0;
};

struct DepthReport {
  std::string model;
  std::string configuration;  ///< What was measured, such as "compute balanced, cache f16".
  double mean_kld = 0;        ///< Over all positions, the first half of the chunks included.
  std::optional<Interval> mean_kld_interval;
  std::vector<DepthBucket> buckets;
  int64_t tokens = 0;
  int chunks = 0;
  int context = 0;
  double seconds = 0;
  double exact_seconds = 0;
};
/// Like EvalDivergence, but at every position but the last of each chunk, and by depth: the positions are cut into
/// `n_buckets` ranges of (nearly) equal length, at most one for each. Memory does not grow with the context. Errors: as
/// EvalDivergence; fewer than one bucket.
[[nodiscard]] Result<DepthReport> EvalDepth(const EngineOptions& options, const EvalText& text, int n_buckets,
                                            const EvalProgress& progress = {});

}  // namespace kvasir
