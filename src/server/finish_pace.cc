#include "server/finish_pace.h"

#include <algorithm>
#include <cmath>

namespace kvasir::server {

void FinishPace::Finished(double seconds, Clock::time_point now) {
  constexpr int kCounted = 10;
  // Nothing finishes while nothing is asked, so that a pause is no slowness: a gap is no longer than its request.
  const double since_last = std::chrono::duration<double>(now - last_).count();
  const double gap = finished_ == 0 ? seconds : std::min(seconds, since_last);
  finished_ = std::min(finished_ + 1, kCounted);
  gap_ += (gap - gap_) / finished_;
  last_ = now;
}

int FinishPace::SecondsFor(int requests) const {
  constexpr double kLongest = 60;  // by then the queue may be another one
  return static_cast<int>(std::ceil(std::clamp(requests * gap_, 1.0, kLongest)));
}

}  // namespace kvasir::server
