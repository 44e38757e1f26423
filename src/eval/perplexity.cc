// Perplexity, and divergence from exact mode in lock-step.

#include <cmath>

#include "base/check.h"
#include "eval/bootstrap.h"
#include "eval/chunks.h"
#include "eval/distribution.h"
#include "eval/runner.h"
#include "kvasir/eval.h"

namespace kvasir {
namespace {

// The interval of exp(x), from that of x.
std::optional<Interval> Exp(std::optional<Interval> interval) {
  if (!interval) return std::nullopt;
  return Interval{.low = std::exp(interval->low), .high = std::exp(interval->high)};
}

// A quantity at every scored token, and its mean in each chunk: all chunks have equally many tokens, so the mean of the
// chunks' means is that of the tokens.
class ByChunk {
 public:
  void BeginChunk() { chunk_ = {}; }
  void Add(double value) {
    all_.Add(value);
    chunk_.Add(value);
  }
  void EndChunk() { means_.push_back(chunk_.Mean()); }

  [[nodiscard]] const eval::Sample& all() const { return all_; }
  [[nodiscard]] std::optional<Interval> Bootstrap(uint64_t seed) const { return eval::BootstrapMean(means_, seed); }

 private:
  eval::Sample all_;
  eval::Sample chunk_;
  std::vector<double> means_;
};

}  // namespace

Result<PerplexityReport> EvalPerplexity(const EngineOptions& options, const EvalText& text,
                                        const EvalProgress& progress) {
  KV_ASSIGN(eval::Runner runner, eval::Runner::Create(options, text.context));
  KV_ASSIGN(const auto chunks, eval::CutText(runner.engine(), text));
  ByChunk losses;
  PerplexityReport report{.chunks = static_cast<int>(chunks.size()), .context = text.context};
  for (int c = 0; c < report.chunks; ++c) {
    const std::vector<int32_t>& chunk = chunks[static_cast<size_t>(c)];
    losses.BeginChunk();
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
  report.interval = Exp(losses.Bootstrap(text.seed));
  report.tokens = static_cast<int64_t>(losses.all().size());
  report.seconds = runner.seconds();
  return report;
}

Result<DivergenceReport> EvalDivergence(const EngineOptions& options, const EvalText& text,
                                        const EvalProgress& progress) {
  KV_ASSIGN(eval::Lockstep lockstep, eval::Lockstep::Create(options, text));
  ByChunk divergences;
  ByChunk same_top;
  ByChunk losses;
  ByChunk exact_losses;
  ByChunk added_losses;
  const auto quantities = {&divergences, &same_top, &losses, &exact_losses, &added_losses};
  DivergenceReport report{.chunks = lockstep.chunks()};
  for (int c = 0; c < report.chunks; ++c) {
    for (ByChunk* quantity : quantities) quantity->BeginChunk();
    KV_TRY(lockstep.RunChunk(c, eval::FirstScored(text.context), [&](const eval::LockstepRow& row) {
      const double exact_loss = eval::NegativeLogLikelihood(row.exact, row.next);
      const double loss = eval::NegativeLogLikelihood(row.asked, row.next);
      divergences.Add(eval::Divergence(row.exact, row.asked));
      same_top.Add(eval::TopToken(row.exact) == eval::TopToken(row.asked) ? 1 : 0);
      losses.Add(loss);
      exact_losses.Add(exact_loss);
      added_losses.Add(loss - exact_loss);
    }));
    for (ByChunk* quantity : quantities) quantity->EndChunk();
    if (progress && !progress(c + 1, report.chunks, divergences.all().Mean())) {
      return std::unexpected(eval::Cancelled());
    }
  }
  report.tokens = static_cast<int64_t>(divergences.all().size());
  report.mean_kld = divergences.all().Mean();
  report.mean_kld_interval = divergences.Bootstrap(text.seed);
  report.median_kld = divergences.all().Quantile(0.5);
  report.p99_kld = divergences.all().Quantile(0.99);
  report.max_kld = divergences.all().Quantile(1);
  report.same_top = same_top.all().Mean();
  report.same_top_interval = same_top.Bootstrap(text.seed);
  report.perplexity = std::exp(losses.all().Mean());
  report.perplexity_interval = Exp(losses.Bootstrap(text.seed));
  report.exact_perplexity = std::exp(exact_losses.all().Mean());
  report.perplexity_ratio = std::exp(added_losses.all().Mean());
  report.perplexity_ratio_interval = Exp(added_losses.Bootstrap(text.seed));
  report.seconds = lockstep.asked().seconds();
  report.exact_seconds = lockstep.exact().seconds();
  return report;
}

}  // namespace kvasir
