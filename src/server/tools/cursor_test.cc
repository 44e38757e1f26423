#include "server/tools/cursor.h"

#include <gtest/gtest.h>

namespace kvasir::server {
namespace {

std::vector<Tool> TwoTools() {
  return {{.name = "get", .description = "", .parameters = {}},
          {.name = "get_weather", .description = "", .parameters = {}}};
}

TEST(Cursor, SaysNoYesOrNotYet) {
  Cursor yes("<tool_call>{");
  EXPECT_TRUE(yes.Literal("<tool_call>"));
  EXPECT_EQ(yes.rest(), "{");
  Cursor no("<tool>");
  EXPECT_FALSE(no.Literal("<tool_call>"));
  EXPECT_EQ(no.outcome(), Seen::kNo);
  EXPECT_EQ(no.at(), 0u);
  Cursor partly("<tool_");
  EXPECT_FALSE(partly.Literal("<tool_call>"));
  EXPECT_EQ(partly.outcome(), Seen::kPartly);
}

TEST(Cursor, WordsAllowSpaceBetweenThem) {
  Cursor text(" </k> \n <v>x");
  EXPECT_TRUE(text.Words("</k> <v>"));
  EXPECT_EQ(text.rest(), "x");
  Cursor other("</k> <w>");
  EXPECT_FALSE(other.Words("</k> <v>"));
  EXPECT_EQ(other.at(), 0u);
}

TEST(Cursor, NamesEndWhereTheyEnd) {
  const std::vector<Tool> tools = TwoTools();
  EXPECT_EQ(Cursor("get_weather(").Name(tools), "get_weather");
  EXPECT_EQ(Cursor("get\n").Name(tools), "get");
  Cursor longer("get_weathers(");
  EXPECT_EQ(longer.Name(tools), std::nullopt);
  EXPECT_EQ(longer.outcome(), Seen::kNo);
  Cursor open("get_we");
  EXPECT_EQ(open.Name(tools), std::nullopt);
  EXPECT_EQ(open.outcome(), Seen::kPartly);
  Cursor unknown("put");
  EXPECT_EQ(unknown.Name(tools), std::nullopt);
  EXPECT_EQ(unknown.outcome(), Seen::kNo);
}

TEST(Cursor, ReadsValuesOfJson) {
  Cursor text(R"("a\"}b" {"x": ["}", 1]} -1.5e3, true])");
  EXPECT_EQ(text.JsonString(), "a\"}b");
  text.Space();
  EXPECT_EQ(text.JsonValue(), R"({"x": ["}", 1]})");
  text.Space();
  EXPECT_EQ(text.JsonValue(), "-1.5e3");
  EXPECT_TRUE(text.Words(","));
  text.Space();
  EXPECT_EQ(text.JsonValue(), "true");
  Cursor open(R"({"a": "})");
  EXPECT_EQ(open.JsonValue(), std::nullopt);
  EXPECT_EQ(open.outcome(), Seen::kPartly);
}

TEST(ValueScanner, EndsAtTheSamePlaceHoweverTheTextIsCut) {
  for (const std::string_view text : {R"({"a": "\\\"}", "b": [{}]} rest)", "12, 3", R"("x\"y" z)", "[1, (2)] z"}) {
    ValueScanner whole;
    const size_t size = whole.Take(text);
    EXPECT_TRUE(whole.done());
    ValueScanner bytes;
    size_t taken = 0;
    for (size_t i = 0; i < text.size() && !bytes.done(); ++i) taken += bytes.Take(text.substr(i, 1));
    EXPECT_EQ(taken, size) << text;
  }
}

TEST(OpenEnd, IsTheLongestBeginningThatTheTextEndsWith) {
  EXPECT_EQ(OpenEnd("abc<to", "<tool>"), 3u);
  EXPECT_EQ(OpenEnd("abc<tool>", "<tool>"), 0u);
  EXPECT_EQ(OpenEnd("aaa", "aab"), 2u);
  EXPECT_EQ(OpenEnd("", "x"), 0u);
}

}  // namespace
}  // namespace kvasir::server
