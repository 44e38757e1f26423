// Timing for the benchmarks of this room.
#pragma once

#include <algorithm>
#include <ctime>

namespace kvasir::kernels {

/// CPU time of this thread: time given to other programs does not count, so ratios hold on a busy machine too.
inline double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// What one call of `work` takes.
inline double SecondsOf(const auto& work) {
  const double begin = ThreadSeconds();
  work();
  return ThreadSeconds() - begin;
}

/// The shortest of `times` calls.
inline double BestSecondsOf(int times, const auto& work) {
  double best = SecondsOf(work);
  for (int i = 1; i < times; ++i) best = std::min(best, SecondsOf(work));
  return best;
}

}  // namespace kvasir::kernels
