#include "kvcache/bit_allocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace kvasir::kvcache {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Halves = std::vector<std::vector<StorageChoice>>;

double Bits(const Halves& halves, const std::vector<size_t>& choice) {
  double bits = 0;
  for (size_t h = 0; h < halves.size(); ++h) bits += halves[h][choice[h]].bits / static_cast<double>(halves.size());
  return bits;
}
double Loss(const Halves& halves, const std::vector<size_t>& choice) {
  double loss = 0;
  for (size_t h = 0; h < halves.size(); ++h) loss += halves[h][choice[h]].loss;
  return loss;
}

TEST(BitAllocationTest, BitsGoWhereTheyBuyTheMost) {
  const Halves halves = {{{2, 0.1}, {4, 0.01}}, {{2, 0.9}, {4, 0.05}}, {{2, 0.02}, {4, 0.01}}};
  EXPECT_THAT(AllocateBits(halves, 2).value(), ElementsAre(0, 0, 0));
  EXPECT_THAT(AllocateBits(halves, 2.7).value(), ElementsAre(0, 1, 0));
  EXPECT_THAT(AllocateBits(halves, 3.4).value(), ElementsAre(1, 1, 0));
  EXPECT_THAT(AllocateBits(halves, 8).value(), ElementsAre(1, 1, 1));
}

TEST(BitAllocationTest, OfEqualLossesTheFewerBits) {
  EXPECT_THAT(AllocateBits(Halves{{{5, 0.1}, {3, 0.1}, {4, 0.1}}}, 8).value(), ElementsAre(1));
}

TEST(BitAllocationTest, NoAllocationWithinTheBudgetLosesLess) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<double> number;
  for (int trial = 0; trial < 200; ++trial) {
    Halves halves(5);
    for (auto& half : halves) {
      for (int c = 0; c < 4; ++c)
        half.push_back({.bits = 2 + std::floor(512 * number(engine)) / 128, .loss = number(engine)});
    }
    double fewest = 0;
    for (const auto& half : halves) {
      double least = 32;
      for (const auto& choice : half) least = std::min(least, choice.bits);
      fewest += least / 5;
    }
    const double budget = fewest + number(engine);
    const auto found = AllocateBits(halves, budget);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_LE(Bits(halves, *found), budget + 1e-9);
    double least = std::numeric_limits<double>::infinity();
    for (size_t all = 0; all < 1024; ++all) {
      const std::vector<size_t> choice = {all & 3, all >> 2 & 3, all >> 4 & 3, all >> 6 & 3, all >> 8 & 3};
      if (Bits(halves, choice) <= budget - 1e-9) least = std::min(least, Loss(halves, choice));
    }
    EXPECT_LE(Loss(halves, *found), least + 1e-12);
  }
}

TEST(BitAllocationTest, NoHalvesNeedNoBits) {
  EXPECT_TRUE(AllocateBits({}, 0).value().empty());
}

TEST(BitAllocationTest, WhatCannotBeIsRefusedWithTheReason) {
  const auto error = [](const Halves& halves, double bits) { return AllocateBits(halves, bits).error().message; };
  EXPECT_THAT(error({{{4, 0}}, {{3, 0}}}, 3),
              HasSubstr("3 bits an element are too few: the smallest choices take 3.500"));
  EXPECT_THAT(error({{{4, 0}}, {}}, 3), HasSubstr("half 1 has no choice"));
  EXPECT_THAT(error({{{4, std::nan("")}}}, 5), HasSubstr("half 0 has a choice of 4 bits and loss nan"));
  EXPECT_THAT(error({{{-1, 0}}}, 5), HasSubstr("half 0 has a choice of -1 bits"));
  EXPECT_THAT(error({{{4, 0}}}, std::nan("")), HasSubstr("a budget of nan bits"));
}

}  // namespace
}  // namespace kvasir::kvcache
