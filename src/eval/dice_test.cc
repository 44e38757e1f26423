#include "eval/dice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

namespace kvasir::eval {
namespace {

TEST(Dice, SameSeedSameDraws) {
  Dice a = Dice::For(3, "name", 4);
  Dice b = Dice::For(3, "name", 4);
  const uint64_t first = a.Below(1 << 30);
  EXPECT_EQ(first, b.Below(1 << 30));
  EXPECT_NE(first, Dice::For(3, "name", 5).Below(1 << 30));
  EXPECT_NE(first, Dice::For(3, "mane", 4).Below(1 << 30));
  EXPECT_NE(first, Dice::For(4, "name", 4).Below(1 << 30));
}

TEST(Dice, EveryNumberIsEquallyLikely) {
  Dice dice(1);
  std::array<int, 6> counts{};
  for (int i = 0; i < 6000; ++i) ++counts[dice.Below(6)];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 120);  // four standard deviations
  EXPECT_EQ(dice.Below(1), 0u);
}

TEST(Dice, ShufflesAndChoosesWithoutRepeating) {
  Dice dice(2);
  std::vector<int> list = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const std::vector<int> sorted = list;
  dice.Shuffle(list);
  EXPECT_NE(list, sorted);
  EXPECT_TRUE(std::is_permutation(list.begin(), list.end(), sorted.begin()));
  for (int i = 0; i < 100; ++i) {
    const std::vector<size_t> chosen = dice.Choose(4, 5);
    EXPECT_EQ(std::set<size_t>(chosen.begin(), chosen.end()).size(), 4u);
    EXPECT_LT(*std::max_element(chosen.begin(), chosen.end()), 5u);
  }
}

}  // namespace
}  // namespace kvasir::eval
