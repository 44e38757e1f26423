// Log probabilities: ln p_i = logit_i - ln(sum exp(logit)). The sum is taken relative to the greatest logit, so nothing
// overflows, and in double with blocks, so 262144 terms lose nothing that a float could show.
#include "sampling/logprobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "sampling/candidates.h"
#include "sampling/range.h"
#include "sampling/row_scan.h"

namespace kvasir::sampling {

double LogSumExp(std::span<const float> logits) {
  const float max = CleanLogit(MaxOf(logits));
  if (max == kImpossible) return double{kImpossible};
  return double{max} + std::log(SumOfWeights(logits, max));
}

Result<RowLogprobs> ComputeLogprobs(std::span<const float> logits, int32_t chosen, int32_t count) {
  if (chosen < 0 || static_cast<size_t>(chosen) >= logits.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("token {} has no log probability: the row has {} logits", chosen, logits.size()));
  }
  KV_TRY(CheckCount("the number of log probabilities", count, 0, std::numeric_limits<int32_t>::max()));
  const double log_total = LogSumExp(logits);
  if (log_total == double{kImpossible}) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("no log probabilities: none of {} logits is above minus infinity; check the model", logits.size()));
  }
  const auto logprob = [&](float logit) { return double{CleanLogit(logit)} - log_total; };

  RowLogprobs result;
  const Candidate own = {chosen, CleanLogit(logits[static_cast<size_t>(chosen)])};
  result.chosen = {chosen, logprob(own.logit)};
  ForEachAbove<true>(
      logits, [&] { return own.logit; },
      [&](size_t id) { result.rank += MoreLikely({static_cast<int32_t>(id), CleanLogit(logits[id])}, own) ? 1 : 0; });
  std::vector<Candidate> best;
  SelectTop(logits, static_cast<size_t>(count), best);
  for (const Candidate& candidate : best) {
    result.top.push_back({candidate.id, logprob(candidate.logit)});
  }
  return result;
}

}  // namespace kvasir::sampling
