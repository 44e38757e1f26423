#include "jinja/big_integer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "jinja/request_text.h"
#include "jinja/template.h"

namespace kvasir::jinja {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// What a template makes of `variables`, the text of a JSON object; an error's message.
std::string Render(std::string_view source, std::string_view variables) {
  const auto context = ParseRequestText(variables);
  if (!context) return context.error().message;
  const auto parsed = Template::Parse(source);
  if (!parsed) return parsed.error().message;
  const auto text = parsed->Render(*context);
  return text ? *text : text.error().message;
}

TEST(RequestText, KeepsEveryDigitOfAnInteger) {
  constexpr const char* kNumbers =
      "[18446744073709551615, 18446744073709551616, -9223372036854775808, -9223372036854775809, 9223372036854775807, "
      "9223372036854775808, 100000000000000000000000000000000000000001]";
  EXPECT_EQ(Render("{{ x }}", std::string("{\"x\": ") + kNumbers + "}"), kNumbers);
  EXPECT_EQ(Render("{{ x|tojson }}", std::string("{\"x\": ") + kNumbers + "}"), kNumbers);
  EXPECT_EQ(Render("{{ x }}", "{\"x\": 18446744073709551616.0}"), "1.8446744073709552e+19");
}

TEST(RequestText, ReadsWhatNlohmannReads) {
  constexpr std::string_view kText =
      R"({"b": [1, -2, 2.5, "é", true, null, {}, []], "a": {"c": {"d": [[]]}}, "b2": 7})";
  EXPECT_EQ(ParseRequestText(kText).value(), nlohmann::ordered_json::parse(kText));
  EXPECT_EQ(ParseRequestText("3").value(), nlohmann::ordered_json(3));
  EXPECT_EQ(ParseRequestText(R"({"a": 1, "b": 2, "a": 3})")->dump(), R"({"a":3,"b":2})");
}

TEST(RequestText, SaysWhereItStopped) {
  const auto bad = ParseRequestText("{\"messages\": [\n  1,\n]}");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(bad.error().message,
            "line 3, column 1: a comma stands before ']', but JSON allows none after the last item");
}

TEST(RequestText, NestingIsBounded) {
  const auto nested = [](size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_TRUE(ParseRequestText(nested(kMaxValueDepth)));
  const auto deep = ParseRequestText(nested(1'000'000));
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().code, ErrorCode::kResourceExhausted);
}

TEST(BigInteger, ArithmeticIsAnErrorThatNamesTheLineAndTheNumber) {
  for (const char* expression : {"x + 1", "1 - x", "x * 2", "x / 2", "2 // x", "x % 2", "x ** 2", "-x", "x|abs",
                                 "x|round", "'%d' % x", "x is odd", "[x]|sum", "'{:d}'.format(x)", "range(x)",
                                 "'ab' * x", "x|filesizeformat", "'%f' % x", "'%c' % x"}) {
    EXPECT_THAT(Render(std::string("\n{{ ") + expression + " }}", "{\"x\": -18446744073709551616}"),
                AllOf(HasSubstr("template line 2: "), HasSubstr("integer -18446744073709551616 is beyond 64 bits")))
        << expression;
  }
}

// Against numbers of 128 bits, across the bounds of 64.
RC_GTEST_PROP(BigInteger, ComparesAsIntegersDo, ()) {
  const auto number = [] {
    const auto high = *rc::gen::inRange<int64_t>(-3, 4);
    const auto low = *rc::gen::elementOf(std::vector<int64_t>{0, 1, -1, INT64_MAX, INT64_MIN, 12345});
    return static_cast<__int128>(high) * (static_cast<__int128>(1) << 63) + low;
  };
  const auto digits = [](__int128 value) {
    std::string text;
    const bool negative = value < 0;
    do {
      text.insert(0, 1, static_cast<char>('0' + std::abs(static_cast<int>(value % 10))));
      value /= 10;
    } while (value != 0);
    return negative ? "-" + text : text;
  };
  const __int128 a = number();
  const __int128 b = number();
  const std::string expected =
      fmt::format("{} {} {}", a < b ? "True" : "False", a == b ? "True" : "False", a >= b ? "True" : "False");
  RC_ASSERT(Render("{{ a < b }} {{ a == b }} {{ a >= b }}",
                   fmt::format("{{\"a\": {}, \"b\": {}}}", digits(a), digits(b))) == expected);
}

}  // namespace
}  // namespace kvasir::jinja
