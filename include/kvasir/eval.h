// Measuring quality: perplexity, agreement with reference logits, divergence from exact mode.
#pragma once

#include <functional>
#include <string>

#include "kvasir/options.h"
#include "kvasir/result.h"

namespace kvasir {

/// Called after each chunk with chunks done, chunks in all and the running value. Return false to stop with kCancelled.
using EvalProgress = std::function<bool(int done, int total, double running)>;

/// The text of an evaluation and how it is cut: non-overlapping chunks of `context` tokens, the second half of each is
/// scored, and where the model adds a beginning-of-text token it overwrites the first token of every chunk.
struct EvalText {
  std::string text;
  int context = 512;
  int max_chunks = 0;  ///< 0: all
};

struct PerplexityReport {
  double perplexity = 0;
  double standard_error = 0;
  int64_t tokens = 0;  ///< scored
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
  double median_kld = 0;
  double p99_kld = 0;
  double max_kld = 0;
  double same_top = 0;
  double perplexity = 0;        ///< of this configuration
  double exact_perplexity = 0;  ///< of exact mode
  int64_t tokens = 0;
  int chunks = 0;
  double seconds = 0;        ///< spent in this configuration
  double exact_seconds = 0;  ///< spent in exact mode
};
/// Runs `options` and exact mode in lock-step over `text` and compares the distributions at every scored position.
[[nodiscard]] Result<DivergenceReport> EvalDivergence(const EngineOptions& options, const EvalText& text,
                                                      const EvalProgress& progress = {});

}  // namespace kvasir
