#include "jinja/numbers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kvasir::jinja {
namespace {

TEST(Numbers, FloatsAreWrittenAsPythonWritesThem) {
  EXPECT_EQ(FormatFloat(0), "0.0");
  EXPECT_EQ(FormatFloat(-0.0), "-0.0");
  EXPECT_EQ(FormatFloat(1), "1.0");
  EXPECT_EQ(FormatFloat(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(FormatFloat(1e15), "1000000000000000.0");
  EXPECT_EQ(FormatFloat(1e16), "1e+16");
  EXPECT_EQ(FormatFloat(1234567890123456789.0), "1.2345678901234568e+18");
  EXPECT_EQ(FormatFloat(0.0001), "0.0001");
  EXPECT_EQ(FormatFloat(0.00001), "1e-05");
  EXPECT_EQ(FormatFloat(5e-324), "5e-324");
  EXPECT_EQ(FormatFloat(std::numeric_limits<double>::max()), "1.7976931348623157e+308");
  EXPECT_EQ(FormatFloat(HUGE_VAL), "inf");
  EXPECT_EQ(FormatFloat(-HUGE_VAL), "-inf");
  EXPECT_EQ(FormatFloat(std::nan("")), "nan");
}

std::optional<int64_t> Int(std::string_view text, int base = 10) {
  return ParseInt(text, base).value_or(std::nullopt);
}

TEST(Numbers, IntegersAreReadAsPythonReadsThem) {
  EXPECT_EQ(Int("42"), 42);
  EXPECT_EQ(Int("  -42\n"), -42);
  EXPECT_EQ(Int("+1_000"), 1000);
  EXPECT_EQ(Int("ff", 16), 255);
  EXPECT_EQ(Int("0xff", 16), 255);
  EXPECT_EQ(Int("0xff", 0), 255);
  EXPECT_EQ(Int("-0b11", 0), -3);
  EXPECT_EQ(Int("-9223372036854775808"), INT64_MIN);
  for (const char* text : {"", " ", "-", "1.0", "1__0", "_1", "1_", "0x", "0xff", "1 2", "a", "--1"}) {
    EXPECT_EQ(Int(text), std::nullopt) << text;
  }
  EXPECT_EQ(Int("012", 0), std::nullopt);
  EXPECT_EQ(ParseInt("9223372036854775808", 10).error().code, ErrorCode::kUnsupported);
}

TEST(Numbers, FloatsAreReadAsPythonReadsThem) {
  EXPECT_EQ(ParseFloat("1.5"), 1.5);
  EXPECT_EQ(ParseFloat(" .5 "), 0.5);
  EXPECT_EQ(ParseFloat("5."), 5.0);
  EXPECT_EQ(ParseFloat("-1e-3"), -0.001);
  EXPECT_EQ(ParseFloat("1_0.5"), 10.5);
  EXPECT_EQ(ParseFloat("-Infinity"), -HUGE_VAL);
  EXPECT_EQ(ParseFloat("1e999"), HUGE_VAL);
  EXPECT_TRUE(std::isnan(*ParseFloat("NaN")));
  for (const char* text : {"", "x", "0x10", "1e", "1.5x", "- 1", "e5", "+-1", "infinit"}) {
    EXPECT_EQ(ParseFloat(text), std::nullopt) << text;
  }
}

TEST(Numbers, RoundingTakesTheExactBinaryValue) {
  EXPECT_EQ(RoundTo(2.5, 0), 2);
  EXPECT_EQ(RoundTo(3.5, 0), 4);
  EXPECT_EQ(RoundTo(2.675, 2), 2.67);
  EXPECT_EQ(RoundTo(1234.5, -2), 1200);
  EXPECT_EQ(RoundTo(1e300, 400), 1e300);
  EXPECT_EQ(RoundTo(1e300, -400), 0);
  EXPECT_FALSE(TruncateToInt(1e19));
  EXPECT_FALSE(TruncateToInt(HUGE_VAL));
  EXPECT_EQ(*TruncateToInt(-9.9), -9);
}

}  // namespace
}  // namespace kvasir::jinja
