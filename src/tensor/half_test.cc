#include "tensor/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kvasir::tensor {
namespace {

// The definition of binary16, in double arithmetic.
double HalfByDefinition(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(HalfTest, EveryF16PatternHasItsDefinedValue) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = F16ToF32(half);
    if (((bits >> 10) & 31) == 31) {
      EXPECT_EQ(std::isinf(value), (bits & 1023) == 0) << bits;
      EXPECT_EQ(std::isnan(value), (bits & 1023) != 0) << bits;
    } else {
      ASSERT_EQ(static_cast<double>(value), HalfByDefinition(half)) << bits;
    }
    EXPECT_EQ(std::signbit(value), bits >= 32768) << bits;
  }
}

TEST(HalfTest, EveryF16PatternSurvivesTheRoundTrip) {
  for (int bits = 0; bits < 65536; ++bits) ASSERT_EQ(F32ToF16(F16ToF32(static_cast<uint16_t>(bits))), bits);
}

TEST(HalfTest, RoundsToTheNearerNeighbourAndTiesToEven) {
  // Between every two neighbouring finite values, subnormals included, and their negatives.
  for (int bits = 0; bits < 0x7bff; ++bits) {
    const float low = F16ToF32(static_cast<uint16_t>(bits));
    const float high = F16ToF32(static_cast<uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;  // exact
    const int even = (bits & 1) == 0 ? bits : bits + 1;
    ASSERT_EQ(F32ToF16(std::nextafterf(middle, 0.0f)), bits);
    ASSERT_EQ(F32ToF16(middle), even);
    ASSERT_EQ(F32ToF16(std::nextafterf(middle, 1e9f)), bits + 1);
    ASSERT_EQ(F32ToF16(-middle), even | 0x8000);
  }
}

TEST(HalfTest, OverflowGivesInfinityAndUnderflowASignedZero) {
  EXPECT_EQ(F32ToF16(65519.996f), 0x7bff);
  EXPECT_EQ(F32ToF16(65520.0f), 0x7c00);
  EXPECT_EQ(F32ToF16(-std::numeric_limits<float>::max()), 0xfc00);
  EXPECT_EQ(F32ToF16(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_EQ(F32ToF16(-std::numeric_limits<float>::denorm_min()), 0x8000);
}

TEST(HalfTest, NanStaysNan) {
  for (const uint32_t bits : {0x7f800001u, 0x7fc00000u, 0xff800001u, 0xffffffffu}) {
    EXPECT_TRUE(std::isnan(F16ToF32(F32ToF16(std::bit_cast<float>(bits))))) << bits;
    EXPECT_TRUE(std::isnan(Bf16ToF32(F32ToBf16(std::bit_cast<float>(bits))))) << bits;
  }
}

TEST(HalfTest, Bf16IsTheUpperHalfRoundedToEven) {
  for (int bits = 0; bits < 0x7f80; ++bits) {
    const auto low = static_cast<uint32_t>(bits) << 16;
    const int even = (bits & 1) == 0 ? bits : bits + 1;
    ASSERT_EQ(F32ToBf16(std::bit_cast<float>(low)), bits);
    ASSERT_EQ(F32ToBf16(std::bit_cast<float>(low | 0x7fffu)), bits);
    ASSERT_EQ(F32ToBf16(std::bit_cast<float>(low | 0x8000u)), even);
    ASSERT_EQ(F32ToBf16(std::bit_cast<float>(low | 0x8001u)), bits + 1);
  }
  EXPECT_EQ(F32ToBf16(-std::numeric_limits<float>::infinity()), 0xff80);
}

}  // namespace
}  // namespace kvasir::tensor
