#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <chrono>
#include <vector>

namespace kvasir::base {
namespace {

TEST(ThreadPool, RunsEveryShareOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    std::vector<int> calls(static_cast<size_t>(threads), 0);
    for (int round = 0; round < 2000; ++round) pool.Run([&](int share) { ++calls[static_cast<size_t>(share)]; });
    for (const int count : calls) EXPECT_EQ(count, 2000);
  }
}

TEST(ThreadPool, WakesUpAfterSleeping) {
  ThreadPool pool(3);
  int64_t sum = 0;
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::vector<int> values(3, 0);
    pool.Run([&](int share) { values[static_cast<size_t>(share)] = share + 1; });
    sum += values[0] + values[1] + values[2];
  }
  EXPECT_EQ(sum, 5 * 6);
}

// With one CPU for four threads most workers come late, to shares that the caller has done, often in a later run.
TEST(ThreadPool, WorkersThatComeLateDoNoHarm) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  ThreadPool pool(4);  // its threads inherit the mask
  for (int round = 0; round < 20000; ++round) {
    std::vector<int> calls(4, 0);
    pool.Run([&](int share) { calls[static_cast<size_t>(share)] += round; });
    ASSERT_EQ(calls, std::vector<int>(4, round));
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

TEST(ThreadPool, ForCoversEveryIndexOnceInMultiplesOfTheGrain) {
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const int64_t n : {0, 1, 15, 16, 17, 1000}) {
      for (const bool dynamic : {false, true}) {
        std::vector<int> hits(static_cast<size_t>(n), 0);
        auto mark = [&](int64_t begin, int64_t end, int) {
          EXPECT_EQ(begin % 16, 0);
          for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
        };
        dynamic ? pool.ForDynamic(n, 16, mark) : pool.For(n, 16, mark);
        for (const int h : hits) EXPECT_EQ(h, 1);
      }
    }
  }
}

}  // namespace
}  // namespace kvasir::base
