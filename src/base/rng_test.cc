#include "base/rng.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace kvasir::base {
namespace {

using Counter = std::array<uint32_t, 4>;

// The known answers published with the paper (Random123, kat_vectors).
TEST(PhiloxTest, GivesThePublishedAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}), (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxTest, IsUsableAtCompileTime) {
  static_assert(RandomUniform(1, 2, 3) >= 0.0);
  static_assert(RandomUniform(1, 2, 3) < 1.0);
  static_assert(RandomBits(1, 2, 3) == RandomBits(1, 2, 3));
}

TEST(PhiloxTest, SeedPositionAndStreamAllMatter) {
  std::set<uint64_t> seen;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
    for (uint64_t position : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
      for (uint32_t stream : {0U, 1U}) {
        seen.insert(RandomBits(seed, position, stream));
      }
    }
  }
  EXPECT_EQ(seen.size(), 3U * 3U * 2U);
}

TEST(PhiloxTest, UniformHasTheMeanVarianceAndFlatnessOfAUniform) {
  constexpr int kDraws = 100000;
  constexpr int kBins = 64;
  double sum = 0;
  double squares = 0;
  std::array<int, kBins> bins{};
  for (int i = 0; i < kDraws; ++i) {
    const double u = RandomUniform(42, static_cast<uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
    ++bins[static_cast<size_t>(u * kBins)];
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.004);
  EXPECT_NEAR(squares / kDraws, 1.0 / 3.0, 0.004);
  double chi_square = 0;
  for (const int count : bins) {
    const double expected = double{kDraws} / kBins;
    chi_square += (count - expected) * (count - expected) / expected;
  }
  EXPECT_LT(chi_square, 103.4);  // the 0.1 % point for 63 degrees of freedom
}

}  // namespace
}  // namespace kvasir::base
