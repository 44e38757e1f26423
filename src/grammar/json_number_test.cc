#include "grammar/json_number.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <string>

namespace kvasir::grammar {
namespace {

// A decimal with few digits, so that neighbours and equal numbers come up often. `value` in thousandths.
struct Small {
  int value;
  std::string text;
};

Small RandomDecimal() {
  const int places = *rc::gen::inRange(0, 4);
  int scale = 1;
  for (int i = places; i < 3; ++i) scale *= 10;
  const int digits = *rc::gen::inRange(-1200, 1200);
  int unit = 1;
  for (int i = 0; i < places; ++i) unit *= 10;
  std::string text = digits < 0 ? "-" : "";
  const int size = std::abs(digits);
  text += std::to_string(size / unit);
  if (places > 0) {
    const std::string fraction = std::to_string(size % unit);
    text += "." + std::string(static_cast<size_t>(places) - fraction.size(), '0') + fraction;
  }
  return {digits * scale, text};
}

RC_GTEST_PROP(JsonNumberProperty, RangesHoldExactlyTheNumbersInThem, ()) {
  const Small low = RandomDecimal();
  const Small high = RandomDecimal();
  const bool open_low = *rc::gen::arbitrary<bool>();
  const bool open_high = *rc::gen::arbitrary<bool>();
  const bool whole = *rc::gen::arbitrary<bool>();
  NumberRange range{.whole = whole};
  range.at_least.push_back({*ParseDecimal(low.text), open_low});
  range.at_most.push_back({*ParseDecimal(high.text), open_high});
  const auto dfa = DecimalsIn(range);
  RC_ASSERT(dfa.has_value());
  for (int i = 0; i < 50; ++i) {
    const Small number = RandomDecimal();
    const bool negative_zero = number.value == 0 && number.text.starts_with('-');
    const bool spelled_whole = number.text.find('.') == std::string::npos;
    const bool expected = (open_low ? number.value > low.value : number.value >= low.value) &&
                          (open_high ? number.value < high.value : number.value <= high.value) && !negative_zero &&
                          (!whole || spelled_whole);
    RC_ASSERT(dfa->Accepts(number.text) == expected);
  }
}

RC_GTEST_PROP(JsonNumberProperty, MultiplesAreThoseWithoutRemainder, ()) {
  const int a = *rc::gen::inRange(1, 60);
  const int b = *rc::gen::inRange(1, 60);
  const auto dfa = DecimalsIn({.multiples_of = {a, b}});
  RC_ASSERT(dfa.has_value());
  for (int i = 0; i < 50; ++i) {
    const int number = *rc::gen::inRange(-4000, 4000);
    RC_ASSERT(dfa->Accepts(std::to_string(number)) == (number % a == 0 && number % b == 0));
  }
}

TEST(JsonNumberTest, DecimalsHaveOneSpelling) {
  const auto dfa = DecimalsIn({});
  ASSERT_TRUE(dfa.has_value());
  for (const char* text : {"0", "10", "-1", "0.5", "-0.5", "1.50", "9223372036854775807"})
    EXPECT_TRUE(dfa->Accepts(text)) << text;
  for (const char* text : {"", "-", "-0", "-0.0", "01", "1.", ".5", "+1", "1e5", "10000000000000000000"}) {
    EXPECT_FALSE(dfa->Accepts(text)) << text;
  }
}

TEST(JsonNumberTest, ReadsJsonNumbers) {
  const auto show = [](std::string_view json) {
    const auto d = ParseDecimal(json);
    return d ? (d->negative ? "-" : "") + d->integer + "." + d->fraction : "none";
  };
  EXPECT_EQ(show("12.50"), "12.5");
  EXPECT_EQ(show("-0.0"), "0.");
  EXPECT_EQ(show("1e3"), "1000.");
  EXPECT_EQ(show("1.25E+1"), "12.5");
  EXPECT_EQ(show("-5e-3"), "-0.005");
  EXPECT_EQ(show("1e300"), "none");
  EXPECT_EQ(show("1e999999999999"), "none");
}

}  // namespace
}  // namespace kvasir::grammar
