#include "eval/distribution.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace kvasir::eval {
namespace {

TEST(Distribution, LogSumExpIsStableForLargeLogits) {
  EXPECT_NEAR(LogSumExp(std::array{1000.0F, 1000.0F}), 1000 + std::log(2.0), 1e-12);
  EXPECT_NEAR(LogSumExp(std::array{-1000.0F, 0.0F}), 0, 1e-12);
}

TEST(Distribution, LossOfAUniformDistributionIsLogOfItsSize) {
  EXPECT_NEAR(NegativeLogLikelihood(std::array{2.0F, 2.0F, 2.0F, 2.0F}, 3), std::log(4.0), 1e-12);
}

TEST(Distribution, DivergenceByHand) {
  const std::array p = {std::log(0.75F), std::log(0.25F)};
  const std::array q = {std::log(0.5F), std::log(0.5F)};
  EXPECT_NEAR(Divergence(p, q), 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-6);
  EXPECT_EQ(Divergence(p, p), 0);
  // A constant added to all logits changes nothing.
  const std::array shifted = {q[0] + 7, q[1] + 7};
  EXPECT_NEAR(Divergence(p, shifted), Divergence(p, q), 1e-6);
}

TEST(Distribution, TopTokenTakesTheLowestOnTies) {
  EXPECT_EQ(TopToken(std::array{1.0F, 3.0F, 3.0F}), 1);
}

TEST(Median, LiesBetweenTheTwoInTheMiddle) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median(std::array{7.0}), 7);
  EXPECT_EQ(Median(std::array{5.0, 1.0, 9.0}), 5);
  EXPECT_EQ(Median(std::array{4.0, 1.0, 9.0, 2.0}), 3);
}

TEST(Sample, MeanQuantilesAndStandardError) {
  Sample sample;
  EXPECT_EQ(sample.Mean(), 0);
  EXPECT_EQ(sample.Quantile(0.5), 0);
  for (const double value : {5.0, 1.0, 3.0, 2.0, 4.0}) sample.Add(value);
  EXPECT_EQ(sample.Mean(), 3);
  EXPECT_EQ(sample.Quantile(0.5), 3);
  EXPECT_EQ(sample.Quantile(0), 1);
  EXPECT_EQ(sample.Quantile(1), 5);
  EXPECT_NEAR(sample.StandardError(), std::sqrt(2.5 / 5), 1e-12);
}

}  // namespace
}  // namespace kvasir::eval
