// Perplexity, and divergence from exact mode in lock-step.

#include <chrono>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "eval/chunks.h"
#include "eval/distribution.h"
#include "kvasir/engine.h"
#include "kvasir/eval.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

Error Cancelled() {
  return {ErrorCode::kCancelled, "the evaluation was cancelled"};
}

// An engine with one session, timed.
struct Runner {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Session> session;
  double seconds = 0;

  static Result<Runner> Create(EngineOptions options, int context) {
    if (options.context_tokens == 0) options.context_tokens = context;
    Runner runner;
    KV_ASSIGN(runner.engine, Engine::Load(options));
    KV_ASSIGN(runner.session, runner.engine->NewSession());
    return runner;
  }

  // Computes a chunk from an empty cache and gives the scored logits to `on_logits(position, logits)`.
  template <typename F>
  Status Run(const std::vector<int32_t>& chunk, F&& on_logits) {
    session->Reset();
    const int context = static_cast<int>(chunk.size());
    const Clock::time_point start = Clock::now();
    double inside = 0;  // time of the callback, which is not the engine's
    // The half that is not scored is a context, from which a policy may evict before the other half is seen.
    const int first = eval::FirstScored(context);
    const std::span<const int32_t> tokens(chunk);
    const auto compute = [&](int offset, std::span<const int32_t> part) {
      return session->Evaluate(part, first - offset, 0, [&, offset](int index, std::span<const float> logits) {
        const int position = offset + index;
        if (position >= context - 1) return;
        const Clock::time_point begin = Clock::now();
        on_logits(position, logits);
        inside += std::chrono::duration<double>(Clock::now() - begin).count();
      });
    };
    const bool evicts = engine->options().kv.evicts();
    Status status = evicts ? compute(0, tokens.first(static_cast<size_t>(first))) : compute(0, tokens);
    if (status && evicts) status = session->CompressCache();
    if (status && evicts) status = compute(first, tokens.subspan(static_cast<size_t>(first)));
    seconds += std::chrono::duration<double>(Clock::now() - start).count() - inside;
    return status;
  }
};

}  // namespace

Result<PerplexityReport> EvalPerplexity(const EngineOptions& options, const EvalText& text,
                                        const EvalProgress& progress) {
  KV_ASSIGN(Runner runner, Runner::Create(options, text.context));
  KV_ASSIGN(const auto chunks, eval::CutText(*runner.engine, text));
  eval::Sample losses;
  PerplexityReport report{.chunks = static_cast<int>(chunks.size()), .context = text.context};
  for (size_t c = 0; c < chunks.size(); ++c) {
    KV_TRY(runner.Run(chunks[c], [&](int position, std::span<const float> logits) {
      losses.Add(eval::NegativeLogLikelihood(logits, chunks[c][static_cast<size_t>(position) + 1]));
    }));
    if (progress && !progress(static_cast<int>(c) + 1, report.chunks, std::exp(losses.Mean()))) {
      return std::unexpected(Cancelled());
    }
  }
  report.perplexity = std::exp(losses.Mean());
  report.standard_error = report.perplexity * losses.StandardError();
  report.tokens = static_cast<int64_t>(losses.size());
  report.seconds = runner.seconds;
  return report;
}

Result<DivergenceReport> EvalDivergence(const EngineOptions& options, const EvalText& text,
                                        const EvalProgress& progress) {
  EngineOptions exact_options = options;
  exact_options.compute = ComputeMode::kExact;
  exact_options.kv = {};
  exact_options.kv_budget_bytes = 0;
  KV_ASSIGN(Runner exact, Runner::Create(exact_options, text.context));
  KV_ASSIGN(Runner runner, Runner::Create(options, text.context));
  KV_ASSIGN(const auto chunks, eval::CutText(*runner.engine, text));

  const auto vocabulary = static_cast<size_t>(runner.engine->info().vocabulary);
  const int first = eval::FirstScored(text.context);
  std::vector<float> truth(static_cast<size_t>(text.context - first) * vocabulary);
  eval::Sample divergences;
  eval::Sample losses;
  eval::Sample exact_losses;
  int64_t same_top = 0;
  DivergenceReport report{.chunks = static_cast<int>(chunks.size())};
  for (size_t c = 0; c < chunks.size(); ++c) {
    const auto row = [&](int position) {
      return std::span<float>(truth).subspan(static_cast<size_t>(position - first) * vocabulary, vocabulary);
    };
    const auto next = [&](int position) { return chunks[c][static_cast<size_t>(position) + 1]; };
    KV_TRY(exact.Run(chunks[c], [&](int position, std::span<const float> logits) {
      std::memcpy(row(position).data(), logits.data(), logits.size_bytes());
      exact_losses.Add(eval::NegativeLogLikelihood(logits, next(position)));
    }));
    KV_TRY(runner.Run(chunks[c], [&](int position, std::span<const float> logits) {
      divergences.Add(eval::Divergence(row(position), logits));
      losses.Add(eval::NegativeLogLikelihood(logits, next(position)));
      same_top += eval::TopToken(row(position)) == eval::TopToken(logits) ? 1 : 0;
    }));
    if (progress && !progress(static_cast<int>(c) + 1, report.chunks, divergences.Mean())) {
      return std::unexpected(Cancelled());
    }
  }
  report.tokens = static_cast<int64_t>(divergences.size());
  report.mean_kld = divergences.Mean();
  report.median_kld = divergences.Quantile(0.5);
  report.p99_kld = divergences.Quantile(0.99);
  report.max_kld = divergences.Quantile(1);
  report.same_top = static_cast<double>(same_top) / static_cast<double>(report.tokens);
  report.perplexity = std::exp(losses.Mean());
  report.exact_perplexity = std::exp(exact_losses.Mean());
  report.seconds = runner.seconds;
  report.exact_seconds = exact.seconds;
  return report;
}

}  // namespace kvasir
