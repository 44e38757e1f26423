#include "kvcache/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "kvcache/encode_testing.h"

namespace kvasir::kvcache {
namespace {

// Softmax attention of one query, in double.
std::vector<double> Attend(const std::vector<double>& q, const std::vector<double>& keys,
                           const std::vector<double>& values, std::vector<double>* p) {
  const size_t dim = q.size();
  const size_t count = keys.size() / dim;
  p->assign(count, 0);
  double sum = 0;
  for (size_t s = 0; s < count; ++s) {
    double score = 0;
    for (size_t d = 0; d < dim; ++d) score += q[d] * keys[s * dim + d];
    (*p)[s] = std::exp(score);
    sum += (*p)[s];
  }
  std::vector<double> o(dim, 0);
  for (size_t s = 0; s < count; ++s) {
    (*p)[s] /= sum;
    for (size_t d = 0; d < dim; ++d) o[d] += (*p)[s] * values[s * dim + d];
  }
  return o;
}

std::vector<float> Floats(const std::vector<double>& x) {
  return {x.begin(), x.end()};
}

// The claim that the whole calibration rests on: small independent errors of keys move the output by what the weight
// says.
TEST(CalibrationTest, KeyErrorWeightIsWhatErrorsOfKeysCost) {
  constexpr size_t kDim = 8;
  constexpr size_t kKeys = 20;
  std::mt19937 engine(1);
  std::normal_distribution<double> normal;
  const auto random = [&](size_t count) {
    std::vector<double> x(count);
    for (double& value : x) value = normal(engine);
    return x;
  };
  const std::vector<double> q = random(kDim);
  const std::vector<double> keys = random(kKeys * kDim);
  const std::vector<double> values = random(kKeys * kDim);
  std::vector<double> p;
  const std::vector<double> o = Attend(q, keys, values, &p);
  double query_squared = 0;
  for (const double value : q) query_squared += value * value;

  constexpr double kError = 1e-3;
  constexpr int kTrials = 4000;
  double moved = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> wrong = keys;
    for (double& value : wrong) value += kError * normal(engine);
    std::vector<double> ignored;
    const std::vector<double> off = Attend(q, wrong, values, &ignored);
    for (size_t d = 0; d < kDim; ++d) moved += (off[d] - o[d]) * (off[d] - o[d]) / kTrials;
  }
  const double predicted = KeyErrorWeight(Floats(p), Floats(values), Floats(o)) * query_squared * kError * kError;
  EXPECT_NEAR(moved / predicted, 1, 0.1);
}

TEST(CalibrationTest, SecondMomentsAreWeightedAndMerge) {
  SecondMoment a(2);
  SecondMoment b(2);
  a.Add(std::vector<float>{1, 2}, 3);
  b.Add(std::vector<float>{-1, 1}, 0.5);
  a.Merge(b);
  EXPECT_THAT(a.matrix(), testing::ElementsAre(3.5, 5.5, 5.5, 12.5));
}

TEST(CalibrationTest, RangesAreSquaredAndAveragedOverPages) {
  RangeMoment ranges(2);
  EXPECT_THAT(ranges.Mean(), testing::ElementsAre(1, 1));
  std::vector<float> page(kernels::kPageTokens * 2, 0);
  page[5 * 2] = 3;
  page[9 * 2] = -1;
  ranges.Add(page);
  RangeMoment other(2);
  other.Add(std::vector<float>(kernels::kPageTokens * 2, 7));
  ranges.Merge(other);
  EXPECT_THAT(ranges.Mean(), testing::ElementsAre(8, 0));
}

// With F as documented, F^-T (H + damping) F^-1 is diagonal; solved by eliminating rows, the other way round.
TEST(CalibrationTest, FeedbackMakesTheLossASumOfSquares) {
  for (const int dim : {2, 16, 64}) {
    const auto n = static_cast<size_t>(dim);
    const std::vector<double> h = RandomMetric(dim, dim, 3);
    const HalfCalibration calibration = MakeCalibration(h, std::vector<double>(n, 1.0));
    ASSERT_TRUE(std::ranges::is_permutation(calibration.order, [&] {
      std::vector<uint16_t> all(n);
      for (size_t i = 0; i < n; ++i) all[i] = static_cast<uint16_t>(i);
      return all;
    }()));
    double mean = 0;
    for (size_t i = 0; i < n; ++i) mean += h[i * n + i] / static_cast<double>(n);
    // Columns of F^-1: rounding errors b of the brackets as errors e of the features.
    const auto errors = [&](size_t k) {
      std::vector<double> e(n, 0);
      for (size_t i = 0; i < n; ++i) {
        e[i] = i == k ? 1 : 0;
        for (size_t j = 0; j < i; ++j) e[i] -= double{calibration.feedback[i * n + j]} * e[j];
      }
      return e;
    };
    const auto product = [&](const std::vector<double>& a, const std::vector<double>& b) {
      double sum = 0;
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) {
          const size_t row = calibration.order[i];
          const size_t column = calibration.order[j];
          sum += a[i] * b[j] * (h[row * n + column] + (row == column ? 0.01 * mean : 0));
        }
      }
      return sum;
    };
    for (size_t k = 0; k < n; ++k) {
      for (size_t l = 0; l <= k; ++l) {
        const double value = product(errors(k), errors(l));
        if (k == l) {
          EXPECT_GT(value, 0);
        } else {
          EXPECT_NEAR(value, 0, 1e-3 * mean);
        }
      }
    }
  }
}

TEST(CalibrationTest, TheCheapestFeatureIsRoundedLast) {
  const std::vector<double> h = {1, 0, 0, 0, 5, 0, 0, 0, 3};
  EXPECT_THAT(MakeCalibration(h, std::vector<double>{1, 1, 1}).order, testing::ElementsAre(1, 2, 0));
  EXPECT_THAT(MakeCalibration(h, std::vector<double>{100, 1, 1}).order, testing::ElementsAre(0, 1, 2));
}

TEST(CalibrationTest, TheUnitOfTheMetricDoesNotMatter) {
  const std::vector<double> h = RandomMetric(16, 20, 5);
  std::vector<double> scaled = h;
  for (double& value : scaled) value *= 0x1p-80;
  const std::vector<double> ranges(16, 1.0);
  const HalfCalibration a = MakeCalibration(h, ranges);
  const HalfCalibration b = MakeCalibration(scaled, ranges);
  EXPECT_EQ(a.order, b.order);
  EXPECT_EQ(a.feedback, b.feedback);
  EXPECT_EQ(a.weight, b.weight);
}

TEST(CalibrationTest, NothingLearntIsPlainRounding) {
  const HalfCalibration none = MakeCalibration(std::vector<double>(16, 0.0), std::vector<double>(4, 1.0));
  EXPECT_TRUE(none.order.empty() && none.feedback.empty() && none.weight.empty());
}

TEST(CalibrationTest, TheRotatedMetricGivesRotatedErrorsTheSameLoss) {
  for (const int dim : {16, 48, 64}) {
    const std::vector<double> h = RandomMetric(dim, dim, 7);
    const std::vector<float> zero(static_cast<size_t>(dim), 0);
    std::vector<float> error(zero.size());
    std::mt19937 engine(9);
    std::normal_distribution<float> normal;
    for (float& value : error) value = normal(engine);
    std::vector<float> rotated(zero.size(), 0);
    for (size_t i = 0; i < rotated.size(); ++i) {
      for (size_t j = i / 32 * 32; j < std::min(i / 32 * 32 + 32, rotated.size()); ++j) {
        rotated[i] += std::popcount((i % 32) & (j % 32)) % 2 == 1 ? -error[j] : error[j];
      }
    }
    EXPECT_NEAR(MetricLoss(dim, RotatedMetric(h), zero, rotated) / MetricLoss(dim, h, zero, error), 1, 1e-4);
  }
}

TEST(FeatureTailsTest, AreThoseOfTheSortedNumbers) {
  constexpr int kDim = 3;
  constexpr size_t kCount = 1000;
  std::mt19937 engine(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(kDim * kCount);
  for (float& value : x) value = normal(engine);
  for (const double outside : {0.0, 0.005, 0.1}) {
    // More tokens may have been announced than came.
    FeatureTails tails(kDim, kCount + 500, outside);
    tails.Add(std::span(x).first(300 * kDim));
    tails.Add(std::span(x).subspan(300 * kDim));
    const FeatureRanges ranges = tails.Ranges();
    for (size_t d = 0; d < kDim; ++d) {
      std::vector<float> sorted;
      for (size_t i = d; i < x.size(); i += kDim) sorted.push_back(x[i]);
      std::ranges::sort(sorted);
      const auto beyond = static_cast<size_t>(outside * kCount);
      EXPECT_EQ(ranges.least[d], sorted.front());
      EXPECT_EQ(ranges.most[d], sorted.back());
      EXPECT_EQ(ranges.low[d], sorted[beyond]);
      EXPECT_EQ(ranges.high[d], sorted[kCount - 1 - beyond]);
    }
  }
}

TEST(FeatureTailsTest, WhatIsNotFiniteDoesNotCount) {
  const float infinity = std::numeric_limits<float>::infinity();
  FeatureTails tails(2, 4, 0.25);
  EXPECT_TRUE(tails.Ranges().low.empty());
  tails.Add(std::vector<float>{1, infinity});
  EXPECT_TRUE(tails.Ranges().low.empty());
  tails.Add(std::vector<float>{-infinity, 7, -2, std::nanf(""), 5, 8});
  const FeatureRanges ranges = tails.Ranges();
  EXPECT_THAT(ranges.least, testing::ElementsAre(-2, 7));
  EXPECT_THAT(ranges.most, testing::ElementsAre(5, 8));
}

TEST(FitLevelsTest, FindsTheLevelsThatAreThere) {
  std::vector<LevelSample> samples;
  for (const float position : {-1.0F, -0.25F, 0.5F, 1.0F}) {
    for (int i = 0; i < 10; ++i) samples.push_back({.position = position, .weight = 1});
  }
  EXPECT_THAT(FitLevels(2, samples), testing::ElementsAre(-127, -32, 64, 127));
}

TEST(FitLevelsTest, OfEvenNumbersAreEvenlySpaced) {
  std::vector<LevelSample> samples;
  for (int i = 0; i <= 20000; ++i) samples.push_back({.position = static_cast<float>(i) / 10000 - 1, .weight = 2});
  // Ends at -1 and 1, the middles of what is left halfway between neighbours: thirds of the range.
  EXPECT_THAT(FitLevels(2, samples), testing::ElementsAre(-127, -42, 42, 127));
}

TEST(FitLevelsTest, FollowWeights) {
  std::vector<LevelSample> samples;
  for (int i = -100; i <= 100; ++i) {
    samples.push_back({.position = static_cast<float>(i) / 100, .weight = i > 0 ? 100.0F : 0.01F});
  }
  const std::vector<int8_t> levels = FitLevels(3, samples);
  EXPECT_GE(std::ranges::count_if(levels, [](int8_t level) { return level > 0; }), 5);
}

// Two inner levels: all pairs of bytes can be tried, so the best is known.
TEST(FitLevelsTest, NoOtherLevelsAreBetter) {
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  for (int trial = 0; trial < 10; ++trial) {
    std::vector<LevelSample> samples = {{.position = -1, .weight = 1}, {.position = 1, .weight = 1}};
    double weights = 2;
    for (int i = 0; i < 60; ++i) {
      const float position = std::clamp(0.3F * normal(engine) + 0.1F * static_cast<float>(trial % 3), -1.0F, 1.0F);
      samples.push_back({.position = position, .weight = std::exp(normal(engine))});
      weights += double{samples.back().weight};
    }
    const auto loss = [&](const std::vector<int8_t>& levels) {
      double sum = 0;
      for (const LevelSample& sample : samples) {
        double nearest = 1e30;
        for (const int8_t level : levels) {
          const double error = static_cast<double>(level) / 127 - double{sample.position};
          nearest = std::min(nearest, error * error);
        }
        sum += double{sample.weight} * nearest;
      }
      return sum;
    };
    double least = 1e30;
    for (int a = -126; a < 126; ++a) {
      for (int b = a + 1; b < 127; ++b) {
        least = std::min(least, loss({-127, static_cast<int8_t>(a), static_cast<int8_t>(b), 127}));
      }
    }
    const std::vector<int8_t> levels = FitLevels(2, samples);
    EXPECT_EQ(levels.front(), -127);
    EXPECT_EQ(levels.back(), 127);
    EXPECT_LE(loss(levels), 1.01 * least + 2e-5 * weights) << trial;  // a byte is 1 in 127, a bin 1 in 256
  }
}

TEST(FitLevelsTest, AlwaysIncrease) {
  for (const int bits : {2, 3, 4, 5}) {
    const std::vector<std::vector<LevelSample>> cases = {
        {},
        {{.position = 0, .weight = 1}},
        {{.position = 1, .weight = 1}, {.position = 0.999F, .weight = 1}},
        {{.position = 0.1F, .weight = 0}},
        {{.position = std::nanf(""), .weight = 1}, {.position = HUGE_VALF, .weight = HUGE_VALF}},
    };
    for (const auto& samples : cases) {
      const std::vector<int8_t> levels = FitLevels(bits, samples);
      ASSERT_EQ(levels.size(), size_t{1} << bits);
      for (size_t i = 1; i < levels.size(); ++i) EXPECT_LT(levels[i - 1], levels[i]) << bits;
    }
  }
}

}  // namespace
}  // namespace kvasir::kvcache
