// Python's two ways to format text: `"%s" % value` and `"{}".format(value)`.
#pragma once

#include <string>
#include <string_view>

#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// `format % argument`, where `format` is a string value; Markup when the format is.
[[nodiscard]] Result<Value> FormatPercent(Runtime& runtime, const Value& format, const Value& argument);

/// `format.format(*positional, **keyword)`; Markup when the format is.
[[nodiscard]] Result<Value> FormatBraces(Runtime& runtime, const Value& format, const Arguments& arguments);

/// format(value, spec): the mini-language after the colon of a replacement field.
[[nodiscard]] Result<std::string> FormatWithSpec(Runtime& runtime, const Value& value, std::string_view spec);

/// One number, as a sign and digits with their prefix, still without padding.
struct NumberText {
  std::string sign;
  std::string prefix;
  std::string digits;
};

/// How a number is to be written; shared by both ways.
struct NumberStyle {
  char type = 'd';         ///< one of d b o x X for integers, e E f F g G % or r (repr) for floats
  char sign = '-';         ///< '-', '+' or ' '
  bool alternate = false;  ///< the flag #
  int64_t precision = -1;  ///< -1: the default of the type
  char grouping = 0;       ///< ',' or '_' between groups of digits, or 0
};

[[nodiscard]] NumberText FormatInteger(int64_t value, const NumberStyle& style);
/// Errors: a precision beyond the budget.
[[nodiscard]] Result<NumberText> FormatReal(Runtime& runtime, double value, const NumberStyle& style);

}  // namespace kvasir::jinja
