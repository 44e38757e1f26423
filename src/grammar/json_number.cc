// Comparing a decimal with a bound needs only a look from left to right: of two whole numbers without leading zeros the
// longer is greater, and of two of the same length the one with the greater digit where they first differ; fractions
// compare like words, as if followed by zeros. So "at least 12.5" is a regular expression: greater integers with any
// fraction, or 12 with a fraction that is 5, 51, ... or 6, 7, .... A range is the intersection of its two ends.
#include "grammar/json_number.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace kvasir::grammar {
namespace {

constexpr size_t kMostDigits = 40;

Expr Digits(char low, char high) {
  return low <= high ? Bytes({{static_cast<Symbol>(low), static_cast<Symbol>(high)}}) : Nothing();
}
Expr AnyDigits(int min, int max) {
  return Times(Digits('0', '9'), min, max);
}
char Up(char digit) {
  return static_cast<char>(digit + 1);
}
char Down(char digit) {
  return static_cast<char>(digit - 1);
}

Expr AnyInteger() {
  return AnyOfThese({Exactly("0"), InOrderOf({Digits('1', '9'), AnyDigits(0, kIntegerDigits - 1)})});
}
Expr AnyFraction() {
  return Maybe(InOrderOf({Exactly("."), AnyDigits(1, -1)}));
}
// .0, .00, ... or nothing.
Expr ZeroFraction() {
  return Maybe(InOrderOf({Exactly("."), Times(Exactly("0"), 1, -1)}));
}
Expr NonzeroDigits() {
  return InOrderOf({Times(Exactly("0"), 0, -1), Digits('1', '9'), AnyDigits(0, -1)});
}

Expr IntegerAbove(const std::string& bound) {
  const auto length = static_cast<int>(bound.size());
  std::vector<Expr> parts = {InOrderOf({Digits('1', '9'), AnyDigits(length, -1)})};
  for (int i = 0; i < length; ++i) {
    const auto at = static_cast<size_t>(i);
    parts.push_back(InOrderOf(
        {Exactly(bound.substr(0, at)), Digits(Up(bound[at]), '9'), AnyDigits(length - i - 1, length - i - 1)}));
  }
  return AnyOfThese(std::move(parts));
}

Expr IntegerBelow(const std::string& bound) {
  const auto length = static_cast<int>(bound.size());
  std::vector<Expr> parts;
  if (length > 1) {
    parts.push_back(Exactly("0"));
    parts.push_back(InOrderOf({Digits('1', '9'), AnyDigits(0, length - 2)}));
  }
  for (int i = 0; i < length; ++i) {
    const auto at = static_cast<size_t>(i);
    const char lowest = i == 0 && length > 1 ? '1' : '0';
    parts.push_back(InOrderOf(
        {Exactly(bound.substr(0, at)), Digits(lowest, Down(bound[at])), AnyDigits(length - i - 1, length - i - 1)}));
  }
  return AnyOfThese(std::move(parts));
}

// With the point, or nothing.
Expr FractionAtLeast(const std::string& bound, bool exclusive) {
  if (bound.empty()) return exclusive ? InOrderOf({Exactly("."), NonzeroDigits()}) : AnyFraction();
  std::vector<Expr> parts = {InOrderOf({Exactly(bound), exclusive ? NonzeroDigits() : AnyDigits(0, -1)})};
  for (size_t i = 0; i < bound.size(); ++i) {
    parts.push_back(InOrderOf({Exactly(bound.substr(0, i)), Digits(Up(bound[i]), '9'), AnyDigits(0, -1)}));
  }
  return InOrderOf({Exactly("."), AnyOfThese(std::move(parts))});
}

Expr FractionAtMost(const std::string& bound, bool exclusive) {
  if (bound.empty()) return exclusive ? Nothing() : ZeroFraction();
  std::vector<Expr> parts;
  for (size_t i = 0; i < bound.size(); ++i) {
    if (i > 0) parts.push_back(Exactly(bound.substr(0, i)));
    parts.push_back(InOrderOf({Exactly(bound.substr(0, i)), Digits('0', Down(bound[i])), AnyDigits(0, -1)}));
  }
  if (!exclusive) parts.push_back(InOrderOf({Exactly(bound), Times(Exactly("0"), 0, -1)}));
  return Maybe(InOrderOf({Exactly("."), AnyOfThese(std::move(parts))}));
}

// Numbers without sign.
Expr SizeAtLeast(const Decimal& bound, bool exclusive) {
  return AnyOfThese({InOrderOf({IntegerAbove(bound.integer), AnyFraction()}),
                     InOrderOf({Exactly(bound.integer), FractionAtLeast(bound.fraction, exclusive)})});
}
Expr SizeAtMost(const Decimal& bound, bool exclusive) {
  return AnyOfThese({InOrderOf({IntegerBelow(bound.integer), AnyFraction()}),
                     InOrderOf({Exactly(bound.integer), FractionAtMost(bound.fraction, exclusive)})});
}

Expr AnySize() {
  return InOrderOf({AnyInteger(), AnyFraction()});
}
Expr Negative(Expr size) {
  return InOrderOf({Exactly("-"), std::move(size)});
}

Expr AtLeast(const NumberBound& bound) {
  if (!bound.value.negative) return SizeAtLeast(bound.value, bound.exclusive);
  return AnyOfThese({AnySize(), Negative(SizeAtMost(bound.value, bound.exclusive))});
}
Expr AtMost(const NumberBound& bound) {
  if (bound.value.negative) return Negative(SizeAtLeast(bound.value, bound.exclusive));
  return AnyOfThese({Negative(AnySize()), SizeAtMost(bound.value, bound.exclusive)});
}

// Reading a digit d takes the remainder r to (10 r + d) mod m.
Dfa MultiplesOf(int divisor) {
  Dfa out;
  const auto remainder = [](int r) { return static_cast<uint32_t>(r + 2); };
  const auto digits = [&](int r) {
    std::vector<Dfa::Edge> edges;
    for (int d = 0; d < 10; ++d) {
      const auto symbol = static_cast<Symbol>('0' + d);
      edges.push_back({symbol, symbol, remainder((10 * r + d) % divisor)});
    }
    return edges;
  };
  out.states.push_back({.edges = digits(0), .accept = false});
  out.states[0].edges.insert(out.states[0].edges.begin(), {'-', '-', 1});
  out.states.push_back({.edges = digits(0), .accept = false});
  for (int r = 0; r < divisor; ++r) out.states.push_back({.edges = digits(r), .accept = r == 0});
  return out;
}

}  // namespace

std::optional<Decimal> ParseDecimal(std::string_view json) {
  Decimal out;
  if (json.starts_with('-')) {
    out.negative = true;
    json.remove_prefix(1);
  }
  int exponent = 0;
  if (const size_t e = json.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view digits = json.substr(e + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (error != std::errc() || std::abs(exponent) > 400) return std::nullopt;
    json = json.substr(0, e);
  }
  const size_t point = std::min(json.find('.'), json.size());
  std::string integer(json.substr(0, point));
  std::string fraction(point < json.size() ? json.substr(point + 1) : std::string_view());
  for (; exponent > 0; --exponent) {
    integer += fraction.empty() ? '0' : fraction.front();
    if (!fraction.empty()) fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    fraction.insert(fraction.begin(), integer.empty() ? '0' : integer.back());
    if (!integer.empty()) integer.pop_back();
  }
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  integer.erase(0, std::min(integer.find_first_not_of('0'), integer.size()));
  if (integer.empty()) integer = "0";
  if (integer.size() > kMostDigits || fraction.size() > kMostDigits) return std::nullopt;
  if (integer == "0" && fraction.empty()) out.negative = false;
  out.integer = std::move(integer);
  out.fraction = std::move(fraction);
  return out;
}

Expr AnyDecimal() {
  static const Expr any = [] {
    const Expr fraction = Maybe(InOrderOf({Exactly("."), AnyDigits(1, kFractionDigits)}));
    auto all = DfaOf(InOrderOf({Maybe(Exactly("-")), AnyInteger(), fraction}));
    auto zero = DfaOf(InOrderOf({Exactly("-0"), ZeroFraction()}));
    KV_CHECK(all && zero);
    auto without_negative_zero = Intersection(*all, Complement(*zero));
    KV_CHECK(without_negative_zero.has_value());
    return Of(std::move(*without_negative_zero));
  }();
  return any;
}

Result<Dfa> DecimalsIn(const NumberRange& range) {
  KV_ASSIGN(Dfa out, DfaOf(AnyDecimal()));
  const auto keep = [&out](const Expr& expr) -> Status {
    KV_ASSIGN(const Dfa dfa, DfaOf(expr));
    KV_ASSIGN(out, Intersection(out, dfa));
    return {};
  };
  if (range.whole || !range.multiples_of.empty()) KV_TRY(keep(InOrderOf({Maybe(Exactly("-")), AnyInteger()})));
  for (const NumberBound& bound : range.at_least) KV_TRY(keep(AtLeast(bound)));
  for (const NumberBound& bound : range.at_most) KV_TRY(keep(AtMost(bound)));
  for (const int divisor : range.multiples_of) {
    KV_ASSIGN(out, Intersection(out, MultiplesOf(divisor)));
  }
  return out;
}

}  // namespace kvasir::grammar
