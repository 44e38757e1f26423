// Sets of JSON numbers as automata over their digits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grammar/dfa.h"
#include "grammar/expression.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// A number without exponent: [-]integer[.fraction], without leading zeros of the integer or trailing ones of the
/// fraction. Zero has no sign.
struct Decimal {
  bool negative = false;
  std::string integer = "0";
  std::string fraction;
};

/// Reads a JSON number; none if it has more than 40 digits before or after the point.
[[nodiscard]] std::optional<Decimal> ParseDecimal(std::string_view json);

/// One end of a range.
struct NumberBound {
  Decimal value;
  bool exclusive = false;
};

/// What numbers are allowed.
struct NumberRange {
  std::vector<NumberBound> at_least;
  std::vector<NumberBound> at_most;
  std::vector<int> multiples_of;  ///< Each 1 to kLargestMultiple; they make the numbers whole.
  bool whole = false;
};
inline constexpr int kLargestMultiple = 1'000;
inline constexpr int kIntegerDigits = 19;
inline constexpr int kFractionDigits = 20;

/// Any decimal of at most kIntegerDigits and kFractionDigits, without exponent. There is no -0.
[[nodiscard]] Expr AnyDecimal();
/// The decimals of a range. Whole numbers have no fraction, not even .0.
[[nodiscard]] Result<Dfa> DecimalsIn(const NumberRange& range);

}  // namespace kvasir::grammar
