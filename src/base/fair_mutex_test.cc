#include "base/fair_mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace kvasir::base {
namespace {

TEST(FairMutex, HoldsOneAtATime) {
  FairMutex mutex;
  int64_t sum = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const std::lock_guard lock(mutex);
        sum = sum + 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 8000);
}

// The one who unlocks and locks again at once comes after the one who was waiting.
TEST(FairMutex, NobodyOvertakes) {
  FairMutex mutex;
  std::atomic<bool> waiting = false;
  std::vector<int> order;
  mutex.lock();
  std::thread other([&] {
    waiting = true;
    const std::lock_guard lock(mutex);
    order.push_back(2);
  });
  while (!waiting) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // between the flag and the ticket
  order.push_back(1);
  mutex.unlock();
  mutex.lock();
  order.push_back(3);
  mutex.unlock();
  other.join();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace kvasir::base
