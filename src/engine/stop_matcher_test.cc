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
  EXPECT_EQ(matcher.match(), "END");
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

TEST(StopMatcher, TakesTheOneThatEndsFirstHoweverTheTextIsCut) {
  struct Case {
    std::vector<std::string> stops;
    std::string text;
    std::string shown;
    std::string match;
  };
  const Case cases[] = {{{"bb", "abb"}, "xabby", "x", "abb"},
                        {{"bcd", "abcde"}, "abcdef", "a", "bcd"},
                        {{"abc", "ab"}, "xabcd", "x", "ab"},
                        {{"no", "nothing"}, "yes", "yes", ""}};
  for (const Case& each : cases) {
    StopMatcher whole(each.stops);
    EXPECT_EQ(whole.Push(each.text) + whole.Flush(), each.shown);
    EXPECT_EQ(whole.match(), each.match);
    StopMatcher bytes(each.stops);
    std::string shown;
    for (const char c : each.text) shown += bytes.Push({&c, 1});
    EXPECT_EQ(shown + bytes.Flush(), each.shown);
    EXPECT_EQ(bytes.match(), each.match);
  }
}

TEST(StopMatcher, HandlesOverlappingBeginnings) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(matcher.Push("aaa"), "a");
  EXPECT_EQ(matcher.Push("b"), "");
  EXPECT_TRUE(matcher.stopped());
}

}  // namespace
}  // namespace kvasir
