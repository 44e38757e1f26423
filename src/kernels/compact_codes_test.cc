// Packing and unpacking of compact pages: round trips, exact bytes, and what is refused.
#include "kernels/compact_codes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/compact_testing.h"

namespace kvasir::kernels {
namespace {

using testing::HasSubstr;

constexpr int kBits[] = {2, 3, 4, 5, 8};

TEST(CompactCodesTest, UnpackingGivesOffsetPlusScaleTimesLevelAndTheOutliers) {
  for (const int bits : kBits) {
    for (const int head_dim : {16, 48, 64, 80, 256, 512}) {
      for (int variant = 0; variant < 32; ++variant) {
        for (const bool keys : {true, false}) {
          const CompactHalf half = HalfVariant(bits, variant);
          TestRandom random(static_cast<uint64_t>(variant));
          const HalfCodes codes = RandomCodes(half, head_dim, 1.0F, random);
          // Guarded at both ends; packing writes every byte between.
          const size_t bytes = HalfBytes(half, head_dim);
          std::vector<std::byte> packed(bytes + 128, std::byte{0x5a});
          PackHalf(half, keys, head_dim, codes, packed.data() + 64);
          for (size_t i = 0; i < 64; ++i) {
            ASSERT_EQ(packed[i], std::byte{0x5a});
            ASSERT_EQ(packed[64 + bytes + i], std::byte{0x5a});
          }
          std::vector<float> expected(codes.codes.size());
          for (int slot = 0; slot < kPageTokens; ++slot) {
            for (int d = 0; d < head_dim; ++d) {
              const size_t at = static_cast<size_t>(slot) * head_dim + d;
              const size_t scale = half.grouping == Grouping::kChannels ? slot / half.group * head_dim + d
                                                                        : d / half.group * kPageTokens + slot;
              const int level = bits == 8 ? static_cast<int8_t>(codes.codes[at]) : half.level[codes.codes[at]];
              expected[at] = (half.offset ? StoredNumber(codes.offsets[scale]) : 0.0F) +
                             StoredNumber(codes.scales[scale]) * static_cast<float>(level);
            }
          }
          for (const Outlier& o : codes.outliers) {
            expected[static_cast<size_t>(o.slot) * head_dim + o.feature] += StoredNumber(o.difference);
          }
          std::vector<float> x(expected.size());
          UnpackHalf(half, keys, head_dim, packed.data() + 64, x.data());
          ASSERT_EQ(x, expected) << bits << " bits, variant " << variant << " D " << head_dim << " keys " << keys;
        }
      }
    }
  }
}

TEST(CompactCodesTest, CodesStandWhereTheLayoutSays) {
  constexpr int kHeadDim = 16;
  for (const bool keys : {true, false}) {
    for (const int bits : kBits) {
      CompactHalf half = HalfVariant(bits, 0);
      HalfCodes codes;
      codes.codes.assign(kPageTokens * kHeadDim, 0);
      codes.scales.assign(ScalesOf(half, kHeadDim), 0.0F);
      const unsigned largest = (1U << bits) - 1;
      codes.codes[37 * kHeadDim + 11] = static_cast<uint8_t>(largest);
      std::vector<std::byte> packed(HalfBytes(half, kHeadDim));
      PackHalf(half, keys, kHeadDim, codes, packed.data());
      // In the order of q8 pages, as vectors of 32.
      const int index = keys ? (11 / 2 * 64 + 37) * 2 + 1 : (37 / 2 * 16 + 11) * 2 + 1;
      const int chunk = index / 512;
      const int vector = index / 32 % 16;
      const int lane = index % 32;
      std::vector<uint16_t> expected(packed.size() / 2, 0);
      const int words = 256 * bits / 8;  // of a chunk, of 16 bits
      const auto put = [&](int begin, int plane_bits, unsigned value) {
        const int per_word = 16 / plane_bits;
        expected[chunk * words + begin + vector / per_word * 32 + lane] =
            static_cast<uint16_t>(value << (vector % per_word * plane_bits));
      };
      if (bits == 8) {
        expected[chunk * words + (index % 512) / 2] = 0xff00;  // an odd index: the upper byte
      } else if (bits % 2 == 0) {
        put(0, bits, largest);
      } else {
        put(0, bits - 1, largest >> 1);
        put(32 * (bits - 1), 1, 1);
      }
      ASSERT_EQ(std::memcmp(packed.data(), expected.data(), packed.size()), 0) << bits << " bits, keys " << keys;
    }
  }
}

TEST(CompactCodesTest, EveryBitIsCounted) {
  CompactHalf half{.bits = 4, .grouping = Grouping::kChannels, .group = 64, .offset = true};
  EXPECT_EQ(HalfBytes(half, 64), 64u * 64 / 2 + 2 * 2 * 64);  // 4.5 bits an element
  half.outliers = 31;                                         // 2 + 124 bytes
  EXPECT_EQ(HalfBytes(half, 64), 64u * 64 / 2 + 2 * 2 * 64 + 128);
  half = {.bits = 3, .grouping = Grouping::kTokens, .group = 32};
  EXPECT_EQ(HalfBytes(half, 80), 64u * 80 * 3 / 8 + 3 * 64 * 2);
  half = {.bits = 2, .grouping = Grouping::kTokens, .group = 64, .outliers = 1};
  EXPECT_EQ(HalfBytes(half, 16), 64u * 16 / 4 + 64 * 2 + 64);  // six bytes for the outlier, padded to a line
  half = {.bits = 5, .grouping = Grouping::kChannels, .group = 32};
  EXPECT_EQ(PageBytes(CompactFormat{half, half, {}}, 128), 2u * (64 * 128 * 5 / 8 + 2 * 128 * 2));
}

TEST(CompactCodesTest, UniformLevelsAreEvenlySpacedAroundZero) {
  for (const int bits : {2, 3, 4, 5}) {
    const int last = (1 << bits) - 1;
    const int step = UniformLevel(bits, 1) - UniformLevel(bits, 0);
    EXPECT_GT(step, 0);
    for (int code = 0; code <= last; ++code) {
      EXPECT_EQ(UniformLevel(bits, code), UniformLevel(bits, 0) + code * step);
      EXPECT_EQ(UniformLevel(bits, code), -UniformLevel(bits, last - code));
    }
    EXPECT_GE(UniformLevel(bits, last), 119);  // most of the range of a byte
  }
}

TEST(CompactCodesTest, StoredNumbersSaturateAndKeepNan) {
  EXPECT_EQ(StoredNumber(1e9F), 65504.0F);
  EXPECT_EQ(StoredNumber(-1e9F), -65504.0F);
  EXPECT_EQ(StoredNumber(0.5F), 0.5F);
  EXPECT_EQ(StoredNumber(1.0F + 1.0F / 4096), 1.0F);
  EXPECT_TRUE(std::isnan(StoredNumber(std::numeric_limits<float>::quiet_NaN())));
}

std::string Refusal(const CompactFormat& format, int head_dim) {
  const Status status = CheckCompact(format, head_dim);
  return status.has_value() ? "" : status.error().message;
}

TEST(CompactCodesTest, WhatKernelsCannotReadIsRefusedByName) {
  CompactFormat format;
  EXPECT_EQ(Refusal(format, 64), "");
  EXPECT_THAT(Refusal(format, 24), HasSubstr("24"));
  EXPECT_THAT(Refusal(format, 528), HasSubstr("528"));
  format.key.bits = 6;
  EXPECT_THAT(Refusal(format, 64), HasSubstr("keys cannot have bits 6"));
  format = {};
  format.value.group = 16;
  EXPECT_THAT(Refusal(format, 64), HasSubstr("values cannot have group 16"));
  format = {};
  format.value.before_rope = true;
  EXPECT_THAT(Refusal(format, 64), HasSubstr("values have no position"));
  format = {};
  format.key.before_rope = true;
  const TestRope rope(64, true, 1, 20);
  EXPECT_THAT(Refusal(format, 64), HasSubstr("RoPE of 0"));
  format.rope = rope.view();
  EXPECT_EQ(Refusal(format, 64), "");
  EXPECT_THAT(Refusal(format, 48), HasSubstr("RoPE of 64"));
  format.rope.turned_pairs = 33;
  EXPECT_THAT(Refusal(format, 64), HasSubstr("33 of 32 pairs"));
  format.rope.turned_pairs = 32;
  format.rope.page_sin = nullptr;
  EXPECT_THAT(Refusal(format, 64), HasSubstr("tables"));
}

}  // namespace
}  // namespace kvasir::kernels
