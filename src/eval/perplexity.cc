// Perplexity: how surprised a model is by a text.

#include <cmath>

#include "base/check.h"
#include "eval/chunks.h"
#include "eval/distribution.h"
#include "eval/divergence_meter.h"
#include "eval/runner.h"
#include "kvasir/eval.h"

namespace kvasir {

Result<PerplexityReport> EvalPerplexity(const EngineOptions& options, const EvalText& text,
                                        const EvalProgress& progress) {
  KV_ASSIGN(eval::Runner runner, eval::Runner::Create(options, text.context));
  KV_ASSIGN(const auto chunks, eval::CutText(runner.engine(), text));
  eval::ByChunk losses;
  PerplexityReport report{.chunks = static_cast<int>(chunks.size()), .context = text.context};
  for (int c = 0; c < report.chunks; ++c) {
    const std::vector<int32_t>& chunk = chunks[static_cast<size_t>(c)];
    runner.Reset();
    // The first half is not scored; a cache that evicts does so between the two.
    const int first = eval::FirstScored(text.context);
    const std::span<const int32_t> tokens(chunk);
    KV_TRY(runner.Run(tokens.first(static_cast<size_t>(first)), first, [](int, std::span<const float>) {}));
    KV_TRY(runner.Compress());
    KV_TRY(runner.Run(tokens.subspan(static_cast<size_t>(first)), 0, [&](int index, std::span<const float> logits) {
      const int position = first + index;
      if (position >= text.context - 1) return;
      losses.Add(eval::NegativeLogLikelihood(logits, chunk[static_cast<size_t>(position) + 1]));
    }));
    losses.EndChunk();
    if (progress && !progress(c + 1, report.chunks, std::exp(losses.all().Mean()))) {
      return std::unexpected(eval::Cancelled());
    }
  }
  report.perplexity = std::exp(losses.all().Mean());
  report.standard_error = report.perplexity * losses.all().StandardError();
  report.interval = eval::Exp(losses.Bootstrap(text.seed));
  report.tokens = static_cast<int64_t>(losses.all().size());
  report.seconds = runner.seconds();
  return report;
}

}  // namespace kvasir
