// The speed of decoding with several caches, in turns.
//
// The problem: two caches that are timed one after the other are told apart by what else the machine did meanwhile. The
// idea: each has its own sequence of the same text at the same depth, and they take turns, a few tokens each, so that a
// busy moment slows all of them; the median of the turns is the figure.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kvasir/kv_spec.h"
#include "kvasir/options.h"
#include "kvasir/result.h"

namespace kvasir::eval {

/// Tokens per second.
struct DecodeSpeed {
  double median = 0;
  double slowest = 0;
  double fastest = 0;
};

/// Of the turns' speeds; zeros where there are none.
[[nodiscard]] DecodeSpeed SpeedOf(std::span<const double> turns);
[[nodiscard]] inline double MedianSpeed(std::span<const double> turns) {
  return SpeedOf(turns).median;
}

/// Computes `tokens` with each of `caches` over one engine of `options`; the last ones, an eighth at most, one by one
/// and in turns. A cache that evicts does so after half of them. `keep_going` is asked after each part with parts done
/// and in all; false ends the race with kCancelled. Errors: those of loading.
[[nodiscard]] Result<std::vector<DecodeSpeed>> RaceDecoding(const EngineOptions& options,
                                                            std::span<const KvSpec> caches,
                                                            std::span<const int32_t> tokens,
                                                            const std::function<bool(int, int)>& keep_going);

}  // namespace kvasir::eval
