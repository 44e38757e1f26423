#include "base/thread_pool.h"

#include <sched.h>

#include "base/check.h"

namespace kvasir::base {
namespace {

// About 20-50 us of polling (one pause is 40-140 cycles), longer than the serial work between two operators. Then up to
// a millisecond in which whoever else is ready gets the CPU: where nobody is, the CPU stays awake, and waking a virtual
// one can take that long. Only then the thread sleeps in the kernel.
constexpr int kSpins = 1000;
constexpr int kYields = 1000;

constexpr int kShareBits = 16;
constexpr uint64_t kShareMask = (uint64_t{1} << kShareBits) - 1;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Waits until `value` differs from `old` and returns the new value.
template <typename T>
T AwaitChange(const std::atomic<T>& value, T old) {
  for (int i = 0; i < kSpins; ++i) {
    if (const T now = value.load(std::memory_order_acquire); now != old) return now;
    Pause();
  }
  for (int i = 0; i < kYields; ++i) {
    if (const T now = value.load(std::memory_order_acquire); now != old) return now;
    sched_yield();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) : ticket_(static_cast<uint64_t>(threads)) {  // run 0, nothing left to claim
  KV_CHECK(threads >= 1 && threads <= static_cast<int>(kShareMask));
  workers_.reserve(static_cast<size_t>(threads) - 1);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { Work(); });
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);  // the epoch publishes it; a late worker may see it early
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::RunRaw(Job job, void* context) {
  if (workers_.empty()) return job(context, 0);
  job_ = job;
  context_ = context;
  unfinished_.store(size(), std::memory_order_relaxed);
  const uint64_t run = (ticket_.load(std::memory_order_relaxed) >> kShareBits) + 1;
  ticket_.store(run << kShareBits, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  ClaimShares();
  for (int32_t left; (left = unfinished_.load(std::memory_order_acquire)) != 0;) AwaitChange(unfinished_, left);
}

// A claim succeeds only on the ticket of the run that is under way, and that run cannot end before the claimed share
// has: so job_ and context_ are the right ones after it, however late this thread comes.
void ThreadPool::ClaimShares() {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while ((ticket & kShareMask) < static_cast<uint64_t>(size())) {
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
    job_(context_, static_cast<int>(ticket & kShareMask));
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::Work() {
  uint32_t seen = 0;
  while (true) {
    seen = AwaitChange(epoch_, seen);
    if (stopping_.load(std::memory_order_relaxed)) return;
    ClaimShares();
  }
}

int AvailableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace kvasir::base
