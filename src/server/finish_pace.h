// How fast requests finish, so that who is turned away can be told when to come back.
#pragma once

#include <chrono>

namespace kvasir::server {

/// The mean time between two finishes, of which the latest count most. Not thread-safe.
class FinishPace {
 public:
  using Clock = std::chrono::steady_clock;

  /// A request has finished that took `seconds` in all.
  void Finished(double seconds, Clock::time_point now = Clock::now());

  /// Whole seconds in which about `requests` will finish: from 1 to 60, and 1 while nothing is known.
  [[nodiscard]] int SecondsFor(int requests) const;

 private:
  double gap_ = 0;    // seconds
  int finished_ = 0;  // up to the number that counts
  Clock::time_point last_;
};

}  // namespace kvasir::server
