/// @file
/// Measuring quality: perplexity, agreement with reference logits, divergence from exact mode.
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
  double low = 0;   ///< 2.5 % of the resamples' means lie below.
  double high = 0;  ///< 2.5 % lie above.
};
/// Resamples of each Interval.
inline constexpr int kBootstrapResamples = 2000;

/// Called after each chunk with chunks done, chunks in all and the running value. Return false to stop with kCancelled.
using EvalProgress = std::function<bool(int done, int total, double running)>;

/// The text of an evaluation and how it is cut: non-overlapping chunks of `context` tokens, the second half of each is
/// scored, and where the model adds a beginning-of-text token it overwrites the first token of every chunk.
struct EvalText {
  std::string text;    ///< UTF-8, of two chunks at least; what is left behind the last whole chunk is not used.
  int context = 512;   ///< Tokens of a chunk.
  int max_chunks = 0;  ///< 0: all.
  uint64_t seed = 1;   ///< Of the bootstrap: the same seed gives the same intervals.
};

/// How surprised a model is by a text.
struct PerplexityReport {
  double perplexity = 0;             ///< e to the mean loss, in nats per token.
  double standard_error = 0;         ///< Of the perplexity, as if tokens were independent.
  std::optional<Interval> interval;  ///< Of the perplexity.
  int64_t tokens = 0;                ///< Scored.
  int chunks = 0;                    ///< Measured.
  int context = 0;                   ///< EvalText::context.
  double seconds = 0;                ///< Spent in the model.
};
/// The perplexity of `text`; a cache that evicts does so before the second half of each chunk. The running value is the
/// perplexity so far. Errors: those of Engine::Load, a context below 8 or above the model's, a text shorter than two
/// chunks' worth of tokens.
[[nodiscard]] Result<PerplexityReport> EvalPerplexity(const EngineOptions& options, const EvalText& text,
                                                      const EvalProgress& progress = {});

/// How far a model is from reference logits that were computed elsewhere.
struct GoldenReport {
  double mean_kld = 0;           ///< In nats, from the reference to the model, over `positions`.
  double max_kld = 0;            ///< The largest of them.
  double same_top = 0;           ///< Share of all tokens behind which the same token is the most likely one, 0..1.
  double max_abs_nll_error = 0;  ///< Over every scored token of every prompt.
  int positions = 0;             ///< Positions with reference logits.
  int64_t tokens = 0;            ///< Tokens with a reference loss.
};
/// Compares with the reference logits in `directory` (golden.json and NAME.logits.f16). Errors: those of Engine::Load;
/// kNotFound, kIo and kCorrupt for the reference, also where its vocabulary is another one.
[[nodiscard]] Result<GoldenReport> EvalGolden(const EngineOptions& options, const std::string& directory);

/// How far a configuration is from exact mode. A KLD is the Kullback-Leibler divergence of a position's distribution
/// from that of exact mode, in nats.
struct DivergenceReport {
  double mean_kld = 0;                          ///< Over `tokens` positions.
  std::optional<Interval> mean_kld_interval;    ///< Over chunks, as all intervals here.
  double median_kld = 0;                        ///< Half of the positions are below.
  double p99_kld = 0;                           ///< 99 % of the positions are below.
  double max_kld = 0;                           ///< The largest.
  double same_top = 0;                          ///< Share of positions with the same most likely token, 0..1.
  std::optional<Interval> same_top_interval;    ///< Of same_top.
  double perplexity = 0;                        ///< Of this configuration.
  std::optional<Interval> perplexity_interval;  ///< Of perplexity.
  double exact_perplexity = 0;                  ///< Of exact mode.
  /// perplexity / exact_perplexity, from the same chunks each time: far surer than either of the two.
  double perplexity_ratio = 0;
  std::optional<Interval> perplexity_ratio_interval;  ///< Of perplexity_ratio.
  int64_t tokens = 0;                                 ///< Compared.
  int chunks = 0;                                     ///< Compared.
  double seconds = 0;                                 ///< Spent in this configuration.
  double exact_seconds = 0;                           ///< Spent in exact mode.
};
/// Runs `options` and exact mode in lock-step over `text` and compares the distributions at every scored position; a
/// cache that evicts does so before the second half of each chunk. Takes the memory of both. The running value is the
/// mean KLD. Errors: as EvalPerplexity.
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
  int first = 0;                              ///< Tokens before the first position of the bucket.
  int last = 0;                               ///< And before the last.
  double mean_kld = 0;                        ///< Over the positions of the bucket, as the others.
  std::optional<Interval> mean_kld_interval;  ///< Over chunks.
  double p99_kld = 0;                         ///< 99 % of the positions are below.
  double same_top = 0;                        ///< Share of positions with the same most likely token, 0..1.
  int64_t tokens = 0;                         ///< Compared.
};

/// Divergence from exact mode, by depth.
struct DepthReport {
  std::string model;                          ///< ModelInfo::name.
  std::string configuration;                  ///< What was measured, such as "compute balanced, cache f16".
  double mean_kld = 0;                        ///< Over all positions, the first half of the chunks included.
  std::optional<Interval> mean_kld_interval;  ///< Over chunks.
  std::vector<DepthBucket> buckets;           ///< By ascending depth, without gaps.
  int64_t tokens = 0;                         ///< Compared.
  int chunks = 0;                             ///< Compared.
  int context = 0;                            ///< EvalText::context.
  double seconds = 0;                         ///< Spent in this configuration.
  double exact_seconds = 0;                   ///< Spent in exact mode.
};
/// Like EvalDivergence, but at every position but the last of each chunk, and by depth: the positions are cut into
/// `n_buckets` ranges of (nearly) equal length, at most one for each. Memory does not grow with the context. Errors: as
/// EvalDivergence; fewer than one bucket.
[[nodiscard]] Result<DepthReport> EvalDepth(const EngineOptions& options, const EvalText& text, int n_buckets,
                                            const EvalProgress& progress = {});

}  // namespace kvasir
