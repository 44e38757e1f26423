#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace kvasir::base {
namespace {

TEST(ThreadPool, RunsTheJobOnceOnEveryThread) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    std::vector<int> calls(static_cast<size_t>(threads), 0);
    for (int round = 0; round < 2000; ++round) pool.Run([&](int thread) { ++calls[static_cast<size_t>(thread)]; });
    for (const int count : calls) EXPECT_EQ(count, 2000);
  }
}

TEST(ThreadPool, WakesUpAfterSleeping) {
  ThreadPool pool(3);
  int64_t sum = 0;
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::vector<int> values(3, 0);
    pool.Run([&](int thread) { values[static_cast<size_t>(thread)] = thread + 1; });
    sum += values[0] + values[1] + values[2];
  }
  EXPECT_EQ(sum, 5 * 6);
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
