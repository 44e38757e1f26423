#include "server/finish_pace.h"

#include <gtest/gtest.h>

namespace kvasir::server {
namespace {

using std::chrono::milliseconds;

TEST(FinishPace, SaysWhenSoManyWillHaveFinished) {
  FinishPace pace;
  EXPECT_EQ(pace.SecondsFor(1000), 1) << "nothing is known";
  FinishPace::Clock::time_point now;
  for (int i = 0; i < 100; ++i) pace.Finished(20, now += milliseconds(500));
  EXPECT_EQ(pace.SecondsFor(9), 5) << "half a second each, rounded up";
  EXPECT_EQ(pace.SecondsFor(1), 1);
  EXPECT_EQ(pace.SecondsFor(512), 60);
}

TEST(FinishPace, APauseIsNoSlowness) {
  FinishPace pace;
  FinishPace::Clock::time_point now;
  for (int i = 0; i < 50; ++i) pace.Finished(0.5, now += std::chrono::hours(1));
  EXPECT_EQ(pace.SecondsFor(10), 5);
}

}  // namespace
}  // namespace kvasir::server
