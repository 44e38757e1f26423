// A small pool that splits one job into as many shares as it has threads and waits for all: the fork and the join of
// every operator.
//
// The problem: hundreds of joins per token. If each waits for a thread that another program has pushed off its CPU, a
// busy machine decodes a hundred times slower, not twice. The idea: shares are claimed, not assigned. The caller goes
// on with whatever share nobody has begun, so it only ever waits for work that is under way.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace kvasir::base {

/// Threads that wait for work by spinning briefly, then yielding, and then sleeping, because the CPUs of a virtual
/// machine may be taken away at any time and a spinning waiter makes that worse. The caller of Run works too.
class ThreadPool {
 public:
  /// A pool of `threads` >= 1, the caller included.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls `fn(share)` once for each share = 0..size()-1, on whatever threads are free, and returns when all have
  /// returned. What any of them wrote is visible to the caller. One Run at a time; not from inside a Run.
  template <typename F>
  void Run(F&& fn) {
    using Fn = std::remove_reference_t<F>;
    RunRaw([](void* context, int share) { (*static_cast<Fn*>(context))(share); },
           const_cast<void*>(static_cast<const void*>(&fn)));
  }

  /// Calls `fn(begin, end, share)` for consecutive ranges that together are [0, n): `n` split evenly by a fixed rule,
  /// in multiples of `grain`.
  template <typename F>
  void For(int64_t n, int64_t grain, F&& fn) {
    const int64_t units = (n + grain - 1) / grain;
    if (units <= 1 || size() == 1) {
      if (n > 0) fn(int64_t{0}, n, 0);
      return;
    }
    Run([&](int share) {
      const int64_t begin = units * share / size() * grain;
      const int64_t end = std::min(n, units * (share + 1) / size() * grain);
      if (begin < end) fn(begin, end, share);
    });
  }

  /// Like For, but threads take pieces as they become free: for work of uneven cost, or when another program takes one
  /// of the CPUs. The pieces, multiples of `grain`, become smaller towards the end, so that all end at the same time.
  template <typename F>
  void ForDynamic(int64_t n, int64_t grain, F&& fn) {
    if (n <= grain || size() == 1) {
      if (n > 0) fn(int64_t{0}, n, 0);
      return;
    }
    std::atomic<int64_t> next{0};
    Run([&](int share) {
      int64_t begin = next.load(std::memory_order_relaxed);
      while (begin < n) {
        const int64_t piece = std::max(grain, (n - begin) / (2 * size()) / grain * grain);
        if (!next.compare_exchange_weak(begin, begin + piece, std::memory_order_relaxed)) continue;
        fn(begin, std::min(n, begin + piece), share);
        begin = next.load(std::memory_order_relaxed);
      }
    });
  }

 private:
  using Job = void (*)(void* context, int share);
  void RunRaw(Job job, void* context);
  void ClaimShares();
  void Work();

  Job job_ = nullptr;
  void* context_ = nullptr;
  std::atomic<bool> stopping_ = false;
  // Each on its own cache line: workers poll `epoch_`, everyone claims from `ticket_`, the caller polls `unfinished_`.
  alignas(64) std::atomic<uint32_t> epoch_{0};
  alignas(64) std::atomic<uint64_t> ticket_;  // the number of the run in the upper bits, the next share below
  alignas(64) std::atomic<int32_t> unfinished_{0};
  std::vector<std::thread> workers_;
};

/// CPUs this process may run on.
int AvailableCpus();

}  // namespace kvasir::base
