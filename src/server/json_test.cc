#include "server/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/fields.h"

namespace kvasir::server {
namespace {

using ::testing::HasSubstr;

std::string Problem(const std::string& text, const JsonLimits& limits = {}) {
  const auto value = ParseJson(text, limits);
  return value ? "" : value.error().message;
}

TEST(ParseJson, TakesWhatIsJson) {
  for (const char* text : {"{}", "[]", "null", "1", "\"x\"", R"({"a": [1, 2.5, {"b": null}], "c": "\u00e9\n"})"}) {
    EXPECT_EQ(Problem(text), "") << text;
  }
  EXPECT_EQ(ParseJson(R"({"b": 1, "a": 2})")->begin().key(), "b");  // order is kept
}

TEST(ParseJson, NamesWhatIsNot) {
  EXPECT_THAT(Problem(R"({"a": 1, "a": 2})"), HasSubstr("'a' appears twice"));
  EXPECT_THAT(Problem(R"({"a": {"a": 1}})"), "");
  EXPECT_THAT(Problem(R"({"a": NaN})"), HasSubstr("line 1, column 7: invalid literal"));
  EXPECT_EQ(
      Problem("{\n \"a\": 1,\n}"),
      "this is not acceptable JSON: line 3, column 1: a comma stands before '}', but JSON allows none after the last "
      "member");
  for (const char* text : {"", "{", "{]", "'a'", "1e999", "\"\\ud800\"", "\"\xff\"", "01", "[1,]", "{} {}"}) {
    EXPECT_THAT(Problem(text), HasSubstr("not acceptable JSON")) << text;
  }
}

TEST(ParseJson, IsBoundedInDepthAndNumber) {
  const JsonLimits limits{.max_depth = 3, .max_values = 5};
  EXPECT_EQ(Problem("[[[]]]", limits), "");
  EXPECT_THAT(Problem("[[[[]]]]", limits), HasSubstr("deeper than 3"));
  EXPECT_EQ(Problem("[1, 2, 3, 4]", limits), "");
  EXPECT_THAT(Problem("[1, 2, 3, 4, 5]", limits), HasSubstr("more than 5 values"));
  EXPECT_THAT(Problem(std::string(1'000'000, '['), {}), HasSubstr("deeper than 64"));
  const JsonLimits few{.max_members = 2};
  EXPECT_EQ(Problem(R"([{"a": 1, "b": 2}, {"a": 1, "c": 2}])", few), "");
  EXPECT_THAT(Problem(R"({"a": 1, "b": 2, "c": 3})", few), HasSubstr("more than 2 members"));
}

TEST(DumpJson, ReplacesWhatIsNotText) {
  EXPECT_EQ(DumpJson(Json("a\xff")), "\"a\xef\xbf\xbd\"");
}

ApiError FirstProblem(Fields& fields) {
  const ApiStatus status = fields.Finish();
  EXPECT_FALSE(status.has_value());
  return status ? ApiError{} : status.error();
}

TEST(Fields, ReadsWhatIsThereAndTakesNullForAbsent) {
  const Json object = *ParseJson(R"({"t": "x", "i": 3, "d": 0.5, "b": true, "n": null, "l": [1, 2], "s": ["a", "b"]})");
  Fields fields(object);
  EXPECT_EQ(fields.Text("t"), "x");
  EXPECT_EQ(fields.Integer("i", 0, 3), 3);
  EXPECT_EQ(fields.Number("d", 0, 1), 0.5);
  EXPECT_EQ(fields.Bool("b"), true);
  EXPECT_EQ(fields.Text("n"), std::nullopt);
  EXPECT_EQ(fields.Text("absent"), std::nullopt);
  EXPECT_THAT(fields.Integers("l", 1, 2, 2), testing::ElementsAre(1, 2));
  EXPECT_THAT(fields.Texts("s", 2), testing::ElementsAre("a", "b"));
  EXPECT_TRUE(fields.Finish().has_value());
}

TEST(Fields, NamesTheFirstProblemOnly) {
  const Json object = *ParseJson(R"({"a": 1, "b": "x"})");
  Fields fields(object, "outer");
  (void)fields.Text("a");
  (void)fields.Integer("b", 0, 1);
  const ApiError error = FirstProblem(fields);
  EXPECT_EQ(error.param, "outer.a");
  EXPECT_EQ(error.message, "outer.a is 1, but it must be a text");
}

TEST(Fields, NamesWhatNobodyAskedFor) {
  const Json object = *ParseJson(R"({"a": 1, "unset": null, "typo": false})");
  Fields fields(object);
  (void)fields.Integer("a", 0, 1);
  EXPECT_EQ(FirstProblem(fields).param, "typo");
  const Json nulls = *ParseJson(R"({"unset": null})");
  EXPECT_TRUE(Fields(nulls).Finish().has_value());
}

TEST(Fields, ChecksNumbersExactly) {
  for (const char* text : {"4", "-1", "1.0", "1e0", "18446744073709551615", "\"1\"", "true", "[]"}) {
    const Json object = *ParseJson(std::string(R"({"i": )") + text + "}");
    Fields fields(object);
    EXPECT_EQ(fields.Integer("i", 0, 3), std::nullopt) << text;
    EXPECT_EQ(FirstProblem(fields).param, "i");
  }
}

TEST(Fields, WantsAnObject) {
  const Json list = Json::array();
  Fields fields(list);
  EXPECT_EQ(fields.Text("a"), std::nullopt);
  EXPECT_EQ(FirstProblem(fields).message, "the request is a list, but it must be a JSON object");
}

TEST(Shown, CutsBetweenCharacters) {
  const std::string shown = Shown(Json(std::string(40, 'a') + "ääääääääääääääääääää"));
  EXPECT_EQ(DumpJson(Json(shown)).find("\xef\xbf\xbd"), std::string::npos);
}

}  // namespace
}  // namespace kvasir::server
