#include "base/parse_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace kvasir::base {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(ParseJson, GoodTextsAreValues) {
  const auto value = ParseJson<nlohmann::ordered_json>("{\"b\": [1, 2.5], \"a\": null}");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->dump(), "{\"b\":[1,2.5],\"a\":null}");
  EXPECT_EQ(WhyNoJson("[1]"), "");
}

TEST(ParseJson, SaysWhereItStoppedAndWhatStoodThere) {
  EXPECT_EQ(WhyNoJson("{\"a\": 1,\n \"b\": 2,\n}"),
            "line 3, column 1: a comma stands before '}', but JSON allows none after the last member");
  EXPECT_EQ(WhyNoJson("[1, 2,  ]"),
            "line 1, column 9: a comma stands before ']', but JSON allows none after the last item");
  EXPECT_THAT(WhyNoJson("{'a': 1}"), StartsWith("line 1, column 2: invalid literal; last read: '{''"));
  EXPECT_THAT(WhyNoJson("[1,\n  Tru]"), StartsWith("line 2, column 3: invalid literal"));
  EXPECT_THAT(WhyNoJson("[1 2]"), StartsWith("line 1, column 4: unexpected number literal"));
  EXPECT_THAT(WhyNoJson("[]]"), StartsWith("line 1, column 3: unexpected ']'; expected end of input"));
  EXPECT_EQ(WhyNoJson(""), "line 1, column 1: the text is empty");
  EXPECT_EQ(WhyNoJson(" \n "), "line 2, column 2: the text is empty");
  EXPECT_THAT(WhyNoJson("{\"a\": [1"),
              StartsWith("line 1, column 9: the text ends too early: unexpected end of input"));
  EXPECT_THAT(WhyNoJson("[\"\xff\"]"), StartsWith("line 1, column 3: "));
  EXPECT_THAT(WhyNoJson("[1e999]"), HasSubstr("number overflow parsing '1e999'"));
}

TEST(ParseJson, TheErrorHasTheCodeThatWasAskedFor) {
  const auto value = ParseJson<nlohmann::json>("[1,]", ErrorCode::kCorrupt);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(value.error().message, WhyNoJson("[1,]"));
}

TEST(ParseJson, AQuotedTokenDoesNotFillTheScreen) {
  std::string text = "[\"";
  for (int i = 0; i < 1000; ++i) text += "\xc3\xa4";
  const std::string why = WhyNoJson(text);
  EXPECT_LT(why.size(), 350u);
  EXPECT_THAT(why, HasSubstr("line 1, column 2003"));
}

// Cut or with a byte changed, a document is either JSON or has a place inside itself.
RC_GTEST_PROP(ParseJson, EveryRefusalHasAPlace, ()) {
  std::string text = "{\"k\": [1, -2.5e3, \"\\u00e9\", true, null],\n \"m\": {\"n\": []}}";
  text.resize(*rc::gen::inRange<size_t>(0, text.size() + 1));
  if (!text.empty()) text[*rc::gen::inRange<size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
  const bool good = nlohmann::json::accept(text);
  const std::string why = WhyNoJson(text);
  RC_ASSERT(good == why.empty());
  if (good) return;
  int line = 0;
  int column = 0;
  RC_ASSERT(std::sscanf(why.c_str(), "line %d, column %d: ", &line, &column) == 2);
  const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
  RC_ASSERT(line >= 1 && line <= lines && column >= 1 && static_cast<size_t>(column) <= text.size() + 1);
}

}  // namespace
}  // namespace kvasir::base
