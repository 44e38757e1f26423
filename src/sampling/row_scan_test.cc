#include "sampling/row_scan.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sampling/float_limits_testing.h"

namespace kvasir::sampling {
namespace {

TEST(ExpOfNegativeTest, IsWithin1e15OfTheTrueValue) {
  for (int i = 0; i < 2000000; ++i) {
    const double x = -i * 3.49e-4;
    const auto truth = static_cast<double>(std::exp(static_cast<long double>(x)));
    ASSERT_LT(std::abs(ExpOfNegative(x) - truth), 1e-15 * truth) << x;
  }
}

TEST(ExpOfNegativeTest, TheEndsAreExact) {
  EXPECT_EQ(ExpOfNegative(0.0), 1.0);
  EXPECT_EQ(ExpOfNegative(-1e-300), 1.0);
  EXPECT_GT(ExpOfNegative(-699.9), 0.0);
  EXPECT_EQ(ExpOfNegative(-700.1), 0.0);
  EXPECT_EQ(ExpOfNegative(-1e38), 0.0);
  EXPECT_EQ(ExpOfNegative(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_EQ(ExpOfNegative(std::numeric_limits<double>::quiet_NaN()), 0.0);
}

TEST(WeightTest, CleansTheLogit) {
  EXPECT_EQ(Weight(kInf, std::numeric_limits<float>::max()), 1.0);
  EXPECT_EQ(Weight(kNan, 3.0F), 0.0);
  EXPECT_EQ(Weight(-kInf, 3.0F), 0.0);
}

std::vector<float> RandomRow() {
  const auto raw = *rc::gen::container<std::vector<int>>(*rc::gen::inRange<size_t>(0, 200), rc::gen::inRange(-50, 50));
  std::vector<float> row;
  for (const int value : raw) row.push_back(value == -50 ? kNan : value == -49 ? -kInf : static_cast<float>(value));
  return row;
}

RC_GTEST_PROP(RowScanTest, MaxAndSumAreThoseOfAPlainLoop, ()) {
  const auto row = RandomRow();
  float max = -kInf;
  for (const float logit : row) max = logit > max ? logit : max;
  RC_ASSERT(MaxOf(row) == max);
  if (max == -kInf) return;
  double sum = 0;
  for (const float logit : row) sum += std::isfinite(logit) ? std::exp(double{logit} - double{max}) : 0;
  RC_ASSERT(std::abs(SumOfWeights(row, max) - sum) < 1e-13 * sum);
}

RC_GTEST_PROP(RowScanTest, ForEachAboveVisitsEachHitOnce, ()) {
  const auto row = RandomRow();
  const auto bound = static_cast<float>(*rc::gen::inRange(-50, 50));
  std::vector<size_t> above;
  std::vector<size_t> at_least;
  ForEachAbove<false>(row, [&] { return bound; }, [&](size_t i) { above.push_back(i); });
  ForEachAbove<true>(row, [&] { return bound; }, [&](size_t i) { at_least.push_back(i); });
  std::vector<size_t> expected_above;
  std::vector<size_t> expected_at_least;
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] > bound) expected_above.push_back(i);
    if (row[i] >= bound) expected_at_least.push_back(i);
  }
  RC_ASSERT(above == expected_above);
  RC_ASSERT(at_least == expected_at_least);
}

}  // namespace
}  // namespace kvasir::sampling
