#include "kvcache/encode_half.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "kvcache/calibration.h"
#include "kvcache/encode_outliers.h"
#include "kvcache/encode_testing.h"

namespace kvasir::kvcache {
namespace {

using kernels::CompactHalf;
using kernels::Grouping;
using kernels::HalfCodes;
using kernels::kPageTokens;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

CompactHalf Uniform(int bits, Grouping grouping, int group, bool offset) {
  CompactHalf half = {
      .bits = static_cast<uint8_t>(bits), .grouping = grouping, .group = static_cast<uint8_t>(group), .offset = offset};
  for (int code = 0; bits < 8 && code < 1 << bits; ++code) half.level[code] = kernels::UniformLevel(bits, code);
  return half;
}
CompactHalf Keys(int bits) {
  return Uniform(bits, Grouping::kChannels, 64, true);
}

std::vector<float> EncodeAndDecode(const CompactHalf& half, int head_dim, const HalfCalibration* calibration,
                                   const std::vector<float>& x, RangeChoice range = RangeChoice::kCover) {
  HalfCodes codes;
  EncodeHalf(half, head_dim, calibration, range, x.data(), &codes);
  return Decoded(half, head_dim, codes);
}

// A block of features times Sylvester's matrix, by its definition: entry (i, j) is the parity of i & j.
std::vector<float> RotatedByDefinition(int head_dim, const std::vector<float>& x) {
  std::vector<float> rotated(x.size(), 0);
  const auto dim = static_cast<size_t>(head_dim);
  for (size_t t = 0; t < x.size() / dim; ++t) {
    for (size_t i = 0; i < dim; ++i) {
      const size_t first = i / 32 * 32;
      double sum = 0;
      for (size_t j = first; j < std::min(first + 32, dim); ++j) {
        const bool odd = std::popcount((i - first) & (j - first)) % 2 == 1;
        sum += (odd ? -1.0 : 1.0) * double{x[t * dim + j]};
      }
      rotated[t * dim + i] = static_cast<float>(sum);
    }
  }
  return rotated;
}

struct Format {
  CompactHalf half;
  int head_dim;
};
std::vector<Format> AllFormats() {
  std::vector<Format> formats;
  for (const int bits : {2, 3, 4, 5, 8}) {
    for (const Grouping grouping : {Grouping::kChannels, Grouping::kTokens}) {
      for (const int group : {32, 64}) {
        for (const bool offset : {false, true}) {
          for (const int head_dim : {16, 48, 64}) {
            Format format = {.half = Uniform(bits, grouping, group, offset), .head_dim = head_dim};
            format.half.rotated = formats.size() % 3 == 1;
            format.half.outliers = formats.size() % 5 == 2 ? 41 : 0;
            formats.push_back(format);
          }
        }
      }
    }
  }
  return formats;
}

TEST(EncodeHalfTest, NoOtherCodeIsNearerAndErrorsAreAtMostHalfAGap) {
  for (const auto& [half, head_dim] : AllFormats()) {
    SCOPED_TRACE(testing::Message() << "bits " << int{half.bits} << " channels "
                                    << (half.grouping == Grouping::kChannels) << " group " << int{half.group}
                                    << " offset " << half.offset << " rotated " << half.rotated << " D " << head_dim);
    const std::vector<float> x = RandomHalf(head_dim, 1);
    const std::vector<float> target = half.rotated ? RotatedByDefinition(head_dim, x) : x;
    HalfCodes codes;
    EncodeHalf(half, head_dim, nullptr, RangeChoice::kCover, x.data(), &codes);
    const std::vector<float> decoded = Decoded(half, head_dim, codes);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t slot = i / static_cast<size_t>(head_dim);
      const size_t d = i % static_cast<size_t>(head_dim);
      const size_t at = half.grouping == Grouping::kChannels ? slot / half.group * static_cast<size_t>(head_dim) + d
                                                             : d / half.group * static_cast<size_t>(kPageTokens) + slot;
      const float scale = codes.scales[at];
      const float offset = half.offset ? codes.offsets[at] : 0;
      ASSERT_EQ(scale, kernels::StoredNumber(scale));
      const float error = std::fabs(decoded[i] - target[i]);
      const float slack = 2e-3F * (std::fabs(target[i]) + std::fabs(offset));  // the rounding of range and offset
      const float gap = half.bits == 8 ? 1 : half.level[1] - half.level[0];
      ASSERT_LE(error, gap / 2 * scale + slack) << i;
      for (int code = 0; code < 1 << half.bits; ++code) {
        const auto level = static_cast<float>(half.bits == 8 ? static_cast<int8_t>(code) : half.level[code]);
        if (half.bits == 8 && code == 128) continue;  // -128 is not used
        ASSERT_LE(error, std::fabs(offset + scale * level - target[i]) + 1e-4F * (std::fabs(target[i]) + scale)) << i;
      }
    }
  }
}

TEST(EncodeHalfTest, UnevenLevelsAreRoundedToTheNearest) {
  CompactHalf half = Keys(2);
  const int8_t levels[] = {-127, -20, 30, 127};
  std::ranges::copy(levels, half.level);
  const std::vector<float> x = RandomHalf(16, 3);
  HalfCodes codes;
  EncodeHalf(half, 16, nullptr, RangeChoice::kCover, x.data(), &codes);
  const std::vector<float> decoded = Decoded(half, 16, codes);
  for (size_t i = 0; i < x.size(); ++i) {
    float least = kInfinity;
    for (const int8_t level : levels) {
      least =
          std::min(least, std::fabs(codes.offsets[i % 16] + codes.scales[i % 16] * static_cast<float>(level) - x[i]));
    }
    EXPECT_LE(std::fabs(decoded[i] - x[i]), least * 1.0001F + 1e-6F);
  }
}

TEST(EncodeHalfTest, FeedbackLowersTheLossOfItsMetric) {
  for (const int bits : {2, 3, 4, 5}) {
    for (const int head_dim : {16, 64}) {
      const std::vector<double> h = RandomMetric(head_dim, head_dim / 2, 5);
      const HalfCalibration calibration = MakeCalibration(h, std::vector<double>(static_cast<size_t>(head_dim), 1.0));
      const std::vector<float> x = RandomHalf(head_dim, 7);
      const double plain = MetricLoss(head_dim, h, x, EncodeAndDecode(Keys(bits), head_dim, nullptr, x));
      const double fed = MetricLoss(head_dim, h, x, EncodeAndDecode(Keys(bits), head_dim, &calibration, x));
      EXPECT_LT(fed, 0.6 * plain) << bits << " bits, " << head_dim << " features";
    }
  }
}

// Four features of two bits: all 256 ways to store a token, so the best is known.
TEST(EncodeHalfTest, FeedbackComesNearTheBestOfAllCodes) {
  constexpr int kDim = 4;
  const CompactHalf half = Keys(2);
  const std::vector<double> h = RandomMetric(kDim, 2, 11);
  const HalfCalibration calibration = MakeCalibration(h, std::vector<double>(kDim, 1.0));
  const std::vector<float> x = RandomHalf(kDim, 13);
  HalfCodes codes;
  EncodeHalf(half, kDim, &calibration, RangeChoice::kCover, x.data(), &codes);
  std::vector<float> best(x.size());
  for (size_t t = 0; t < kPageTokens; ++t) {
    const std::vector<float> token(x.begin() + static_cast<std::ptrdiff_t>(t * kDim),
                                   x.begin() + static_cast<std::ptrdiff_t>((t + 1) * kDim));
    double least = std::numeric_limits<double>::infinity();
    for (unsigned combination = 0; combination < 256; ++combination) {
      std::vector<float> stored(kDim);
      for (size_t d = 0; d < kDim; ++d) {
        stored[d] = codes.offsets[d] + codes.scales[d] * static_cast<float>(half.level[combination >> (2 * d) & 3]);
      }
      if (const double loss = MetricLoss(kDim, h, token, stored); loss < least) {
        least = loss;
        std::ranges::copy(stored, best.begin() + static_cast<std::ptrdiff_t>(t * kDim));
      }
    }
  }
  HalfCodes plain;
  EncodeHalf(half, kDim, nullptr, RangeChoice::kCover, x.data(), &plain);
  const auto stored = [&](const HalfCodes& from) {
    std::vector<float> y(x.size());
    for (size_t i = 0; i < y.size(); ++i) {
      y[i] = from.offsets[i % kDim] + from.scales[i % kDim] * static_cast<float>(half.level[from.codes[i]]);
    }
    return y;
  };
  const double optimum = MetricLoss(kDim, h, x, best);
  const double fed = MetricLoss(kDim, h, x, stored(codes));
  EXPECT_GE(fed, optimum * 0.999);
  EXPECT_LT(fed, 0.5 * (optimum + MetricLoss(kDim, h, x, stored(plain))));
}

TEST(EncodeHalfTest, FeedbackThatFeedsNothingBackChangesNothing) {
  std::vector<double> diagonal(32 * 32, 0);
  for (size_t i = 0; i < 32; ++i) diagonal[i * 32 + i] = 1 + static_cast<double>(i % 5);
  const HalfCalibration calibration = MakeCalibration(diagonal, std::vector<double>(32, 1.0));
  ASSERT_FALSE(calibration.feedback.empty());
  const std::vector<float> x = RandomHalf(32, 17);
  for (const Grouping grouping : {Grouping::kChannels, Grouping::kTokens}) {
    const CompactHalf half = Uniform(3, grouping, 32, true);
    EXPECT_EQ(EncodeAndDecode(half, 32, &calibration, x), EncodeAndDecode(half, 32, nullptr, x));
  }
}

TEST(EncodeHalfTest, ConstantsAndZerosAreStoredUpToF16) {
  for (const float value : {0.0F, 1.0F, -3.7F, 1e-9F, 300.0F}) {
    const std::vector<float> x(kPageTokens * 16, value);
    for (const Grouping grouping : {Grouping::kChannels, Grouping::kTokens}) {
      for (const bool offset : {false, true}) {
        for (const RangeChoice choice : {RangeChoice::kCover, RangeChoice::kSearch}) {
          for (const float decoded : EncodeAndDecode(Uniform(3, grouping, 32, offset), 16, nullptr, x, choice)) {
            ASSERT_NEAR(decoded, value, 1e-3F * std::fabs(value) + 1e-7F);
          }
        }
      }
    }
  }
}

TEST(EncodeHalfTest, WhatF16CannotHoldSaturates) {
  std::vector<float> x(kPageTokens * 16, 1e30F);
  std::fill_n(x.begin(), 16, -1e30F);
  for (const float decoded : EncodeAndDecode(Keys(4), 16, nullptr, x)) EXPECT_TRUE(std::isfinite(decoded));
}

TEST(EncodeHalfTest, WhatIsNotFiniteShowsInItsGroupAndNowhereElse) {
  const std::vector<double> h = RandomMetric(32, 8, 19);
  const HalfCalibration calibration = MakeCalibration(h, std::vector<double>(32, 1.0));
  constexpr size_t kBad = 5;
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    for (const bool outliers : {false, true}) {
      CompactHalf half = Keys(3);
      half.outliers = outliers ? 10 : 0;
      std::vector<float> x = RandomHalf(32, 23);
      x[3 * 32 + kBad] = bad;
      const std::vector<float> decoded = EncodeAndDecode(half, 32, &calibration, x);
      for (size_t slot = 0; slot < kPageTokens; ++slot) x[slot * 32 + kBad] = 1;  // stored without error
      const std::vector<float> expected = EncodeAndDecode(half, 32, &calibration, x);
      for (size_t i = 0; i < x.size(); ++i) {
        if (i % 32 == kBad) {
          ASSERT_TRUE(std::isnan(decoded[i])) << i;
        } else {
          ASSERT_EQ(decoded[i], expected[i]) << i;
        }
      }
    }
  }
}

TEST(EncodeHalfTest, OutliersAreTheElementsThatWidenRanges) {
  constexpr int kDim = 32;
  CompactHalf half = Keys(3);
  half.outliers = 6;
  std::vector<float> x = RandomHalf(kDim, 29);
  for (float& value : x) value = std::clamp(value, -4.0F, 4.0F);
  const std::vector<size_t> planted = {3, 100, 133, 777, 1500, 2047};
  for (const size_t at : planted) x[at] = at % 2 == 0 ? 60.0F : -55.0F;
  HalfCodes codes;
  EncodeHalf(half, kDim, nullptr, RangeChoice::kCover, x.data(), &codes);
  std::vector<size_t> found;
  for (const auto& outlier : codes.outliers) found.push_back(outlier.slot * size_t{kDim} + outlier.feature);
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(planted));
  const std::vector<float> decoded = Decoded(half, kDim, codes);
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(decoded[i], x[i], std::ranges::count(planted, i) == 1 ? 0.04F : 0.6F);
  }
}

TEST(EncodeHalfTest, OutliersLowerTheWeightedLossAndRespectTheirBudget) {
  HalfCalibration weights;
  for (int d = 0; d < 64; ++d) weights.weight.push_back(d % 7 == 0 ? 10.0F : 0.5F);
  std::vector<double> h(64 * 64, 0);
  for (size_t d = 0; d < 64; ++d) h[d * 64 + d] = double{weights.weight[d]};
  const std::vector<float> x = RandomHalf(64, 31);
  for (const Grouping grouping : {Grouping::kChannels, Grouping::kTokens}) {
    double before = std::numeric_limits<double>::infinity();
    for (const int budget : {0, 10, 41, 120}) {
      CompactHalf half = Uniform(2, grouping, 64, true);
      half.outliers = static_cast<uint8_t>(budget);
      HalfCodes codes;
      EncodeHalf(half, 64, &weights, RangeChoice::kCover, x.data(), &codes);
      EXPECT_LE(std::ssize(codes.outliers), budget);
      const double loss = MetricLoss(64, h, x, Decoded(half, 64, codes));
      EXPECT_LT(loss, before);
      before = loss;
    }
  }
}

TEST(EncodeHalfTest, ExactElementsPassNoErrorOn) {
  // Two features that are one to the metric: what the first is off by, the second makes up for, unless it is exact.
  HalfCalibration calibration = {.order = {0, 1}, .feedback = {0, 0, 1, 0}, .weight = {1, 1}};
  CompactHalf half = Keys(2);
  half.outliers = 255;
  const std::vector<float> x = RandomHalf(2, 37);
  HalfCodes codes;
  EncodeHalf(half, 2, &calibration, RangeChoice::kCover, x.data(), &codes);
  const std::vector<float> decoded = Decoded(half, 2, codes);
  EXPECT_GT(codes.outliers.size(), 20U);
  for (size_t i = 0; i < x.size(); i += 2) {
    const bool exact = std::ranges::any_of(
        codes.outliers, [&](const kernels::Outlier& outlier) { return outlier.feature == 0 && outlier.slot == i / 2; });
    if (exact) {
      EXPECT_NEAR(decoded[i], x[i], 1e-2F);
    }
  }
}

// The same ranges for all features, narrower than what RandomHalf has.
HalfCalibration StaticRanges(int head_dim) {
  HalfCalibration calibration;
  calibration.low.assign(static_cast<size_t>(head_dim), -1.5F);
  calibration.high.assign(static_cast<size_t>(head_dim), 2.5F);
  return calibration;
}

TEST(EncodeHalfTest, StaticRangesStayWhereTheyAreAndClip) {
  constexpr int kDim = 32;
  const HalfCalibration calibration = StaticRanges(kDim);
  for (const int group : {32, 64}) {
    const CompactHalf half = Uniform(3, Grouping::kChannels, group, true);
    const std::vector<float> x = RandomHalf(kDim, 41);
    HalfCodes codes;
    EncodeHalf(half, kDim, &calibration, RangeChoice::kStatic, x.data(), &codes);
    const std::vector<float> decoded = Decoded(half, kDim, codes);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(decoded[i], std::clamp(x[i], -1.5F, 2.5F), 4.0F / 7 / 2 + 3e-3F) << i;
    }
    EXPECT_THAT(codes.scales, testing::Each(codes.scales.front()));
  }
  // Nothing to go by: as ever.
  const std::vector<float> x = RandomHalf(kDim, 41);
  EXPECT_EQ(EncodeAndDecode(Keys(3), kDim, nullptr, x, RangeChoice::kStatic),
            EncodeAndDecode(Keys(3), kDim, nullptr, x, RangeChoice::kCover));
}

TEST(EncodeHalfTest, OutliersOfStaticRangesAreTheFurthestOutside) {
  constexpr int kDim = 32;
  const HalfCalibration calibration = StaticRanges(kDim);
  const std::vector<float> x = RandomHalf(kDim, 43);
  const auto beyond = [&](size_t i) { return std::max(x[i] - 2.5F, -1.5F - x[i]); };
  CompactHalf half = Keys(3);
  half.outliers = 20;
  HalfCodes codes;
  EncodeHalf(half, kDim, &calibration, RangeChoice::kStatic, x.data(), &codes);
  ASSERT_EQ(codes.outliers.size(), 20U);
  const std::vector<float> decoded = Decoded(half, kDim, codes);
  std::vector<bool> exact(x.size(), false);
  float nearest = kInfinity;
  for (const auto& outlier : codes.outliers) {
    const size_t at = outlier.slot * size_t{kDim} + outlier.feature;
    exact[at] = true;
    nearest = std::min(nearest, beyond(at));
    EXPECT_NEAR(decoded[at], x[at], 2e-3F * std::fabs(x[at]));
  }
  EXPECT_GT(nearest, 0);
  for (size_t i = 0; i < x.size(); ++i) {
    if (!exact[i]) {
      EXPECT_LE(beyond(i), nearest);
    }
  }
}

TEST(EncodeHalfTest, StaticRangesHideNothingThatIsNotFinite) {
  constexpr int kDim = 32;
  const HalfCalibration calibration = StaticRanges(kDim);
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    CompactHalf half = Keys(3);
    half.outliers = 10;
    std::vector<float> x = RandomHalf(kDim, 47);
    x[3 * kDim + 5] = bad;
    const std::vector<float> decoded = EncodeAndDecode(half, kDim, &calibration, x, RangeChoice::kStatic);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(std::isnan(decoded[i]), i % kDim == 5) << i;
  }
}

// Mean and standard deviation over all elements that are not exact, where each group's range is the same: [-1, 1].
std::pair<double, double> MeanAndDeviation(const HalfCodes& ranges, const std::vector<float>& x, int head_dim) {
  double count = 0, sum = 0, squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t d = i % static_cast<size_t>(head_dim);
    if (std::ranges::any_of(ranges.outliers, [&](const kernels::Outlier& outlier) {
          return outlier.feature == d && outlier.slot == i / static_cast<size_t>(head_dim);
        })) {
      continue;
    }
    const double position = (double{x[i]} - double{ranges.offsets[d]}) / double{ranges.scales[d]};
    count += 1;
    sum += position;
    squares += position * position;
  }
  return {sum / count, std::sqrt(squares / count - sum / count * (sum / count))};
}

TEST(EncodeHalfTest, QNormKeepsMeanAndSpreadAndChangesNoCode) {
  constexpr int kDim = 32;
  for (const int outliers : {0, 20}) {
    CompactHalf half = Keys(2);
    half.level[1] = -20;  // off the middle, so that the mean moves
    half.outliers = static_cast<uint8_t>(outliers);
    const std::vector<float> x = RandomHalf(kDim, 53);
    HalfCodes plain, normalised;
    EncodeHalf(half, kDim, nullptr, RangeChoice::kCover, x.data(), &plain);
    EncodeHalf(half, kDim, nullptr, {RangeChoice::kCover, true}, x.data(), &normalised);
    EXPECT_EQ(plain.codes, normalised.codes);
    const auto wanted = MeanAndDeviation(plain, x, kDim);
    const auto without = MeanAndDeviation(plain, Decoded(half, kDim, plain), kDim);
    const auto with = MeanAndDeviation(plain, Decoded(half, kDim, normalised), kDim);
    EXPECT_GT(std::fabs(without.first - wanted.first) + std::fabs(without.second - wanted.second), 4);
    EXPECT_NEAR(with.first, wanted.first, 0.1);
    EXPECT_NEAR(with.second, wanted.second, 0.1);
    const std::vector<float> decoded = Decoded(half, kDim, normalised);
    for (const auto& outlier : normalised.outliers) {
      const size_t at = outlier.slot * size_t{kDim} + outlier.feature;
      EXPECT_NEAR(decoded[at], x[at], 2e-3F * std::fabs(x[at]) + 2e-3F);
    }
  }
}

TEST(EncodeHalfTest, QNormWorksForEveryFormatAndForWhatHasNoSpread) {
  for (const auto& [half, head_dim] : AllFormats()) {
    const std::vector<float> x = RandomHalf(head_dim, 59);
    double plain = 0, normalised = 0, size = 0;
    const std::vector<float> target = half.rotated ? RotatedByDefinition(head_dim, x) : x;
    const std::vector<float> without = EncodeAndDecode(half, head_dim, nullptr, x);
    HalfCodes codes;
    EncodeHalf(half, head_dim, nullptr, {RangeChoice::kCover, true}, x.data(), &codes);
    const std::vector<float> with = Decoded(half, head_dim, codes);
    for (size_t i = 0; i < x.size(); ++i) {
      plain += std::pow(without[i] - target[i], 2);
      normalised += std::pow(with[i] - target[i], 2);
      size += std::pow(target[i], 2);
    }
    EXPECT_LT(normalised, 2 * plain + 1e-5 * size) << int{half.bits};  // another trade, but not another half
  }
  const std::vector<float> constant(kPageTokens * 16, 3.0F);
  HalfCodes codes;
  EncodeHalf(Keys(2), 16, nullptr, {RangeChoice::kCover, true}, constant.data(), &codes);
  EXPECT_THAT(Decoded(Keys(2), 16, codes), testing::Each(testing::FloatNear(3.0F, 2e-3F)));
}

TEST(EncodeRangeTest, SearchIsNeverWorseThanCovering) {
  for (const int bits : {2, 3, 4}) {
    for (const bool offset : {false, true}) {
      const LevelTable levels(Uniform(bits, Grouping::kTokens, 64, offset));
      double covered = 0;
      double searched = 0;
      for (uint32_t seed = 0; seed < 50; ++seed) {
        const std::vector<float> x = RandomHalf(1, seed);
        std::vector<float> weight(x.size());
        for (size_t i = 0; i < x.size(); ++i) weight[i] = static_cast<float>(i % 4);
        const float cover = RangeError(levels, CoverRange(levels, offset, x), x, weight);
        const float search = RangeError(levels, SearchRange(levels, offset, x, weight), x, weight);
        ASSERT_LE(search, cover);
        covered += double{cover};
        searched += double{search};
      }
      EXPECT_LT(searched, bits == 4 ? covered : 0.97 * covered) << bits;
    }
  }
}

}  // namespace
}  // namespace kvasir::kvcache
