#include "eval/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/rng.h"

namespace kvasir::eval {
namespace {

// Draws of a normal distribution (Box and Muller).
std::vector<double> Normal(int count, double mean, double deviation, uint64_t seed) {
  std::vector<double> values;
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - base::RandomUniform(seed, 2 * i)));
    values.push_back(mean + deviation * radius * std::cos(2 * std::numbers::pi * base::RandomUniform(seed, 2 * i + 1)));
  }
  return values;
}

TEST(BootstrapMean, HasTheWidthThatTheoryGivesForANormalDistribution) {
  constexpr int kCount = 400;
  const auto interval = BootstrapMean(Normal(kCount, 7, 2, 3), 1);
  ASSERT_TRUE(interval.has_value());
  const double width = 2 * 1.96 * 2 / std::sqrt(kCount);
  EXPECT_NEAR(interval->high - interval->low, width, 0.15 * width);
}

// How often the interval of `count` draws holds their true mean.
double Coverage(int count) {
  constexpr int kTrials = 300;
  int covered = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto interval = BootstrapMean(Normal(count, 1, 3, static_cast<uint64_t>(trial)), 5);
    covered += interval->low <= 1 && 1 <= interval->high ? 1 : 0;
  }
  return covered / static_cast<double>(kTrials);
}

TEST(BootstrapMean, CoversTheTruthAsOftenAsItsFileSays) {
  // Three standard errors of 300 trials are 4 % of 94, 5 % of 90 and 7 % of 80.
  EXPECT_NEAR(Coverage(50), 0.94, 0.04);
  EXPECT_NEAR(Coverage(10), 0.90, 0.05);
  EXPECT_NEAR(Coverage(4), 0.80, 0.07);
}

TEST(BootstrapMean, TheSeedDecidesAndNothingElse) {
  const std::vector<double> values = Normal(20, 0, 1, 9);
  const auto first = BootstrapMean(values, 1);
  const auto again = BootstrapMean(values, 1);
  const auto other = BootstrapMean(values, 2);
  EXPECT_EQ(first->low, again->low);
  EXPECT_EQ(first->high, again->high);
  EXPECT_NE(first->low, other->low);
  EXPECT_NEAR(first->low, other->low, 0.1);
}

TEST(BootstrapMean, SaysNothingWhereNothingCanBeSaid) {
  EXPECT_FALSE(BootstrapMean({}, 1).has_value());
  EXPECT_FALSE(BootstrapMean(std::vector<double>{3}, 1).has_value());
  const auto constant = BootstrapMean(std::vector<double>{3, 3, 3}, 1);
  EXPECT_EQ(constant->low, 3);
  EXPECT_EQ(constant->high, 3);
}

TEST(BootstrapMeanOfMeans, ResamplesEachGroupByItself) {
  // Groups that differ from each other but not within: there is nothing to be unsure about.
  const auto sure = BootstrapMeanOfMeans({{0, 0, 0}, {1, 1, 1}}, 1);
  EXPECT_EQ(sure->low, 0.5);
  EXPECT_EQ(sure->high, 0.5);
  const auto unsure = BootstrapMeanOfMeans({{0, 1, 0, 1}, {0, 1, 0, 1}}, 1);
  EXPECT_LT(unsure->low, 0.3);
  EXPECT_GT(unsure->high, 0.7);
  EXPECT_FALSE(BootstrapMeanOfMeans({{0, 1}, {1}}, 1).has_value());
  EXPECT_FALSE(BootstrapMeanOfMeans({}, 1).has_value());
}

}  // namespace
}  // namespace kvasir::eval
