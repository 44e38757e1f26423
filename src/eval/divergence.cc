// Divergence from exact mode, of one configuration or of several over the same exact pass.
//
// The problem: exact mode is the slowest of all, and a comparison of ten caches needs its distributions ten times. The
// idea: exact mode computes a piece of the text once, and each configuration in turn is compared with it there, so
// nothing has to be kept but the logits of that piece; all configurations share one set of weights.
#include "base/check.h"
#include "eval/chunks.h"
#include "eval/divergence_meter.h"
#include "eval/runner.h"
#include "kvasir/eval.h"

namespace kvasir {

Result<std::vector<DivergenceReport>> EvalDivergences(const EngineOptions& options, std::span<const KvSpec> caches,
                                                      const EvalText& text, const EvalProgress& progress) {
  if (caches.empty()) return Fail(ErrorCode::kInvalidArgument, "no cache was named to compare with exact mode");
  KV_ASSIGN(eval::Lockstep lockstep, eval::Lockstep::Create(options, caches, text));
  std::vector<eval::DivergenceMeter> meters(caches.size());
  for (int c = 0; c < lockstep.chunks(); ++c) {
    KV_TRY(lockstep.RunChunk({.chunk = c, .first = eval::FirstScored(text.context)},
                             [&](const eval::LockstepRow& row) { meters[row.configuration].Add(row); }));
    for (eval::DivergenceMeter& meter : meters) meter.EndChunk();
    if (progress && !progress(c + 1, lockstep.chunks(), meters.front().mean_kld())) {
      return std::unexpected(eval::Cancelled());
    }
  }
  std::vector<DivergenceReport> reports;
  for (size_t i = 0; i < caches.size(); ++i) {
    reports.push_back(meters[i].Report(text.seed));
    reports.back().seconds = lockstep.asked(i).seconds();
    reports.back().exact_seconds = lockstep.exact().seconds();
  }
  return reports;
}

Result<DivergenceReport> EvalDivergence(const EngineOptions& options, const EvalText& text,
                                        const EvalProgress& progress) {
  KV_ASSIGN(std::vector<DivergenceReport> reports, EvalDivergences(options, {&options.kv, 1}, text, progress));
  return std::move(reports.front());
}

}  // namespace kvasir
