// The limits of the machine, measured with the same threads and the same footprint as what they are compared with.

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

#include "base/aligned.h"
#include "base/seconds_since.h"
#include "base/thread_pool.h"
#include "engine/peak_memory.h"
#include "kernels/kernels.h"
#include "kvasir/inspect.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

// The best rate that `work` reached while it was repeated for `seconds`: a limit is what the machine can do, and other
// users of it only ever make it slower. `work` runs on every thread and returns its amount.
double BestRate(base::ThreadPool& pool, double seconds, const std::function<double(int thread)>& work) {
  double best = 0;
  const Clock::time_point start = Clock::now();
  do {
    std::vector<double> amounts(static_cast<size_t>(pool.size()));
    const Clock::time_point begin = Clock::now();
    pool.Run([&](int thread) { amounts[static_cast<size_t>(thread)] = work(thread); });
    const double elapsed = base::SecondsSince(begin);
    double total = 0;
    for (const double amount : amounts) total += amount;
    best = std::max(best, total / elapsed);
  } while (base::SecondsSince(start) < seconds);
  return best;
}

// Memory taken while one of these lives does not count as the engine's.
class NotCounted {
 public:
  NotCounted() { ProcessPeakMemory().Pause(); }
  ~NotCounted() { ProcessPeakMemory().Resume(); }
  NotCounted(const NotCounted&) = delete;
  NotCounted& operator=(const NotCounted&) = delete;
};

// In bytes per second.
double ReadRate(base::ThreadPool& pool, size_t buffer_bytes, double seconds) {
  constexpr size_t kUnit = 4096;
  const NotCounted not_counted;
  const auto threads = static_cast<size_t>(pool.size());
  const size_t share = std::max(kUnit, buffer_bytes / threads / kUnit * kUnit);
  auto buffer = base::AlignedBuffer::Create(share * threads, base::AlignedBuffer::Pages::kHuge);
  if (!buffer) return 0;
  const kernels::KernelTable& kernels = kernels::TableOf(kernels::ChosenIsa());
  pool.Run([&](int thread) { std::memset(buffer->data() + share * static_cast<size_t>(thread), 1, share); });
  volatile uint64_t sink = 0;  // keeps the compiler from leaving the work out
  return BestRate(pool, seconds, [&](int thread) {
    sink = sink + kernels.read_stream(buffer->data() + share * static_cast<size_t>(thread), share);
    return static_cast<double>(share);
  });
}

}  // namespace

double MeasureReadRate(int threads, size_t buffer_bytes, double seconds) {
  base::ThreadPool pool(threads);
  return ReadRate(pool, buffer_bytes, seconds) / 1e9;
}

MachineLimits MeasureLimits(int threads, size_t buffer_bytes, double seconds) {
  constexpr int64_t kIterations = 200'000;
  base::ThreadPool pool(threads);
  MachineLimits limits{.threads = threads,
                       .read_gb_per_second = ReadRate(pool, buffer_bytes, seconds / 3) / 1e9,
                       .read_buffer_bytes = buffer_bytes};
  const kernels::KernelTable& kernels = kernels::TableOf(kernels::ChosenIsa());
  volatile uint64_t sink = 0;
  limits.int8_tops = BestRate(pool, seconds / 3,
                              [&](int) {
                                int64_t ops = 0;
                                sink = sink + static_cast<uint64_t>(kernels.int8_peak(kIterations, &ops));
                                return static_cast<double>(ops);
                              }) /
                     1e12;
  limits.fma_gflops = BestRate(pool, seconds / 3,
                               [&](int) {
                                 int64_t flops = 0;
                                 sink = sink + static_cast<uint64_t>(kernels.fma_peak(kIterations, &flops) != 0);
                                 return static_cast<double>(flops);
                               }) /
                      1e9;
  return limits;
}

}  // namespace kvasir
