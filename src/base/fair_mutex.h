// A mutex that is given to those who wait for it in the order in which they came.
//
// std::mutex promises no order, and in practice a thread that unlocks and locks again at once nearly always gets it
// back, however long others have been waiting. Where two loops share a resource (a scheduler's steps and somebody
// else's) one of them would starve. Tickets, as at a counter: draw a number, wait until it is called.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace kvasir::base {

/// For use with std::lock_guard. Meant for sections of a millisecond and more: each hand-over wakes all who wait.
class FairMutex {
 public:
  FairMutex() = default;
  FairMutex(const FairMutex&) = delete;
  FairMutex& operator=(const FairMutex&) = delete;

  void lock() {
    std::unique_lock lock(mutex_);
    const uint64_t ticket = next_++;
    called_.wait(lock, [&] { return ticket == serving_; });
  }
  void unlock() {
    {
      const std::lock_guard lock(mutex_);
      ++serving_;
    }
    called_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable called_;
  uint64_t next_ = 0;
  uint64_t serving_ = 0;
};

}  // namespace kvasir::base
