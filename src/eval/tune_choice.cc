#include "eval/tune_choice.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/check.h"
#include "eval/bootstrap.h"

namespace kvasir::eval {
namespace {

bool SurelyAbove(std::span<const double> values, double limit, uint64_t seed) {
  const std::optional<Interval> interval = BootstrapMean(values, seed);
  return interval && interval->low > limit;
}

bool Dominates(const TuneSample& better, const TuneSample& worse, uint64_t seed) {
  if (better.bytes > worse.bytes) return false;
  if (better.tokens_per_second * kSameSpeed < worse.tokens_per_second) return false;
  KV_CHECK(better.chunk_klds.size() == worse.chunk_klds.size());
  std::vector<double> differences(worse.chunk_klds);
  for (size_t i = 0; i < differences.size(); ++i) differences[i] -= better.chunk_klds[i];
  return SurelyAbove(differences, 0, seed);
}

bool Measured(const TuneRow& row) {
  const DivergenceReport& divergence = row.divergence;
  return row.fate == TuneFate::kMeasured && divergence.chunks > 0 && std::isfinite(divergence.mean_kld);
}

}  // namespace

std::vector<TuneVerdict> Judge(std::span<const TuneSample> samples, const TuneGoal& goal, uint64_t seed) {
  std::vector<TuneVerdict> verdicts(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    if (goal.max_kld && SurelyAbove(samples[i].chunk_klds, *goal.max_kld, seed)) {
      verdicts[i].fate = TuneFate::kOverLimit;
      continue;
    }
    for (size_t j = 0; j < samples.size() && verdicts[i].fate == TuneFate::kMeasured; ++j) {
      if (j != i && Dominates(samples[j], samples[i], seed)) verdicts[i] = {TuneFate::kDominated, j};
    }
  }
  return verdicts;
}

void MarkFrontier(std::span<TuneRow> rows) {
  for (TuneRow& row : rows) {
    row.on_frontier =
        Measured(row) && std::ranges::none_of(rows, [&](const TuneRow& other) {
          if (!Measured(other)) return false;
          const auto cost = [](const TuneRow& r) { return std::pair(r.held_bytes, r.divergence.mean_kld); };
          const auto [bytes, kld] = cost(row);
          const auto [other_bytes, other_kld] = cost(other);
          return other_bytes <= bytes && other_kld <= kld && (other_bytes < bytes || other_kld < kld);
        });
  }
}

std::optional<size_t> Choose(std::span<const TuneRow> rows, const TuneGoal& goal) {
  std::optional<size_t> best;
  const auto rank = [&](const TuneRow& row) {
    const auto bytes = static_cast<double>(row.held_bytes);
    const double kld = row.divergence.mean_kld;
    return goal.max_kld ? std::tuple(bytes, kld, -row.tokens_per_second)
                        : std::tuple(kld, bytes, -row.tokens_per_second);
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    const TuneRow& row = rows[i];
    if (!Measured(row)) continue;
    const std::optional<Interval>& interval = row.divergence.mean_kld_interval;
    if (goal.max_kld && !(interval && interval->high <= *goal.max_kld)) continue;
    if (goal.kv_bytes && row.size.peak_bytes > *goal.kv_bytes) continue;
    if (!best || rank(row) < rank(rows[*best])) best = i;
  }
  return best;
}

}  // namespace kvasir::eval
