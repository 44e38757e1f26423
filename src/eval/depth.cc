// Divergence from exact mode by depth.
//
// The mean over a chunk hides where a cache loses: quantised keys hurt more the more of them there are, eviction hurts
// from the moment it begins. So every position counts here, and neighbours are put together in buckets that are wide
// enough to be read.

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "eval/bootstrap.h"
#include "eval/distribution.h"
#include "eval/runner.h"
#include "kvasir/eval.h"

namespace kvasir {
namespace {

// What is collected of one bucket.
struct Collected {
  eval::Sample divergences;
  eval::Sample same_top;
  eval::Sample chunk;               // divergences of the chunk at hand
  std::vector<double> chunk_means;  // of the chunks before
};

DepthBucket Summarise(const Collected& collected, int first, int last, uint64_t seed) {
  return {.first = first,
          .last = last,
          .mean_kld = collected.divergences.Mean(),
          .mean_kld_interval = eval::BootstrapMean(collected.chunk_means, seed),
          .p99_kld = collected.divergences.Quantile(0.99),
          .same_top = collected.same_top.Mean(),
          .tokens = static_cast<int64_t>(collected.divergences.size())};
}

}  // namespace

Result<DepthReport> EvalDepth(const EngineOptions& options, const EvalText& text, int n_buckets,
                              const EvalProgress& progress) {
  if (n_buckets < 1) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{} buckets hold nothing; at least one is needed", n_buckets));
  }
  KV_ASSIGN(eval::Lockstep lockstep, eval::Lockstep::Create(options, text));
  const int positions = text.context - 1;
  const int count = std::min(n_buckets, positions);
  // Bucket b begins at ceil(b * positions / count), and this is its inverse.
  const auto bucket_of = [&](int position) { return static_cast<size_t>(int64_t{position} * count / positions); };
  const auto begin_of = [&](int b) { return static_cast<int>((int64_t{b} * positions + count - 1) / count); };

  std::vector<Collected> buckets(static_cast<size_t>(count));
  eval::Sample all;
  std::vector<double> chunk_means;
  for (int c = 0; c < lockstep.chunks(); ++c) {
    for (Collected& bucket : buckets) bucket.chunk = {};
    eval::Sample chunk;
    KV_TRY(lockstep.RunChunk({.chunk = c}, [&](const eval::LockstepRow& row) {
      const double divergence = eval::Divergence(row.exact, row.asked);
      Collected& bucket = buckets[bucket_of(row.position)];
      bucket.divergences.Add(divergence);
      bucket.chunk.Add(divergence);
      bucket.same_top.Add(eval::TopToken(row.exact) == eval::TopToken(row.asked) ? 1 : 0);
      all.Add(divergence);
      chunk.Add(divergence);
    }));
    for (Collected& bucket : buckets) bucket.chunk_means.push_back(bucket.chunk.Mean());
    chunk_means.push_back(chunk.Mean());
    if (progress && !progress(c + 1, lockstep.chunks(), all.Mean())) return std::unexpected(eval::Cancelled());
  }

  DepthReport report{.model = lockstep.asked().engine().info().name,
                     .configuration = eval::ConfigurationOf(options.compute, lockstep.asked().kv()),
                     .mean_kld = all.Mean(),
                     .mean_kld_interval = eval::BootstrapMean(chunk_means, text.seed),
                     .tokens = static_cast<int64_t>(all.size()),
                     .chunks = lockstep.chunks(),
                     .context = text.context,
                     .seconds = lockstep.asked().seconds(),
                     .exact_seconds = lockstep.exact().seconds()};
  for (int b = 0; b < count; ++b) {
    report.buckets.push_back(Summarise(buckets[static_cast<size_t>(b)], begin_of(b), begin_of(b + 1) - 1, text.seed));
  }
  return report;
}

}  // namespace kvasir
