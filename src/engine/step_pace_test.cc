#include "engine/step_pace.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

// A machine on which a step takes `base` and `cost` per prompt row; returns the rows it settles at.
int Settle(StepPace& pace, double base, double cost) {
  int rows = 0;
  for (int i = 0; i < 100; ++i) {
    pace.Observe(4, 0, base);
    rows = pace.PromptRows(4);
    pace.Observe(4, rows, base + cost * rows);
  }
  return rows;
}

TEST(StepPace, FillsTheTargetAndFollowsTheMachine) {
  StepPace pace(0.100, 512);
  EXPECT_NEAR(Settle(pace, 0.020, 0.001), 80, 8);
  EXPECT_NEAR(Settle(pace, 0.020, 0.002), 40, 8);
  EXPECT_NEAR(Settle(pace, 0.020, 0.0005), 160, 8);
}

TEST(StepPace, OneSlowStepIsEnoughToSlowDown) {
  StepPace pace(0.100, 512);
  Settle(pace, 0.020, 0.001);
  pace.Observe(4, 80, 0.020 + 80 * 0.004);
  EXPECT_LE(pace.PromptRows(4), 40);
}

TEST(StepPace, PromptsGetAQuarterWhereStreamsAloneTakeTheTarget) {
  StepPace pace(0.100, 512);
  EXPECT_NEAR(Settle(pace, 0.200, 0.001), 50, 8);
  EXPECT_EQ(Settle(pace, 0.200, 1), 8);
}

TEST(StepPace, WithoutStreamsAStepIsLimitedToASecondAndWithoutTargetByNothing) {
  StepPace pace(0.100, 512);
  EXPECT_EQ(pace.PromptRows(0), 512);
  EXPECT_LE(pace.PromptRows(4), 32);  // nothing is known yet
  pace.Observe(0, 512, 0.512);
  EXPECT_EQ(pace.PromptRows(0), 512);
  EXPECT_NEAR(pace.PromptRows(4), 100, 8);  // 1 ms a row
  pace.Observe(0, 512, 512);                // a slow machine: the average rises to half a second a row
  EXPECT_EQ(pace.PromptRows(0), 64);
  StepPace without(0, 512);
  EXPECT_EQ(without.PromptRows(12), 500);
}

TEST(StepPace, NeverExceedsTheStep) {
  StepPace pace(100, 512);
  pace.Observe(0, 512, 0.001);
  EXPECT_EQ(pace.PromptRows(510), 2);
  EXPECT_EQ(pace.PromptRows(512), 0);
}

}  // namespace
}  // namespace kvasir
