#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

std::string Feed(StopMatcher& matcher, std::initializer_list<const char*> pieces) {
  std::string text;
  for (const char* piece : pieces) text += matcher.Push(piece);
  return text;
}

TEST(StopMatcher, PassesTextThroughWhenNothingStops) {
  StopMatcher matcher({});
  EXPECT_EQ(Feed(matcher, {"a", "bc"}), "abc");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, StopsBeforeAStringSplitOverPieces) {
  StopMatcher matcher({"END", ""});
  EXPECT_EQ(Feed(matcher, {"one E", "N", "D two"}), "one ");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.Push("more"), "");
  EXPECT_EQ(matcher.Flush(), "");
}

TEST(StopMatcher, GivesOutAPrefixThatDidNotComplete) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.Push("xEN"), "x");
  EXPECT_EQ(matcher.Push("T"), "ENT");
  EXPECT_EQ(matcher.Push("E"), "");
  EXPECT_EQ(matcher.Flush(), "E");
}

TEST(StopMatcher, TakesTheEarliestOfSeveral) {
  StopMatcher matcher({"bb", "abb"});
  EXPECT_EQ(matcher.Push("xabby"), "x");
  EXPECT_TRUE(matcher.stopped());
}

TEST(StopMatcher, HandlesOverlappingBeginnings) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(matcher.Push("aaa"), "a");
  EXPECT_EQ(matcher.Push("b"), "");
  EXPECT_TRUE(matcher.stopped());
}

}  // namespace
}  // namespace kvasir
