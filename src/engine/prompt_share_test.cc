#include "engine/prompt_share.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using Rows = std::vector<int>;

Rows Share(std::vector<PromptWork> prompts, int room) {
  return ShareRows(prompts, room);
}

TEST(ShareRows, TheOldestHasHalfAndTheShortestTheRest) {
  EXPECT_EQ(Share({{30000}, {500}, {20}}, 100), (Rows{50, 30, 20}));
  EXPECT_EQ(Share({{30000}, {500}, {200}}, 100), (Rows{50, 0, 50}));
  EXPECT_EQ(Share({{20}, {500}, {200}}, 100), (Rows{20, 0, 80}));
}

TEST(ShareRows, WhatIsLeftGoesToWhoCanUseIt) {
  EXPECT_EQ(Share({{30000}, {20}}, 100), (Rows{80, 20}));
  EXPECT_EQ(Share({{30}, {20}}, 100), (Rows{30, 20}));
  EXPECT_EQ(Share({{7}}, 100), (Rows{7}));
  EXPECT_EQ(Share({{1000}}, 100), (Rows{100}));
}

TEST(ShareRows, PrioritiesAreServedInOrder) {
  EXPECT_EQ(Share({{500, 0}, {60, 1}, {20, 0}}, 100), (Rows{20, 60, 20}));
  EXPECT_EQ(Share({{20, 0}, {600, 1}}, 100), (Rows{0, 100}));
}

TEST(ShareRows, NothingOfNothing) {
  EXPECT_EQ(Share({}, 100), Rows{});
  EXPECT_EQ(Share({{5}}, 0), Rows{0});
  EXPECT_EQ(Share({{5}, {9}}, 1), (Rows{1, 0}));
}

}  // namespace
}  // namespace kvasir
