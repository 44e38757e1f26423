// Digits for both formatting languages.

#include <cmath>

#include "base/check.h"
#include "jinja/numbers.h"
#include "jinja/python_format.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

namespace {

std::string SignOf(bool negative, char style) {
  if (negative) return "-";
  return style == '-' ? "" : std::string(1, style);
}

/// Puts `separator` between groups of digits, counted from the right of the integer part.
std::string Group(std::string digits, char separator, size_t size) {
  if (separator == 0) return digits;
  size_t end = 0;
  while (end < digits.size() && std::isxdigit(static_cast<unsigned char>(digits[end]))) ++end;
  for (size_t i = end; i > size; i -= size) digits.insert(i - size, 1, separator);
  return digits;
}

/// With '.0' where no point and no exponent show that this is a float.
std::string WithPoint(std::string digits) {
  if (digits.find_first_of(".en") == std::string::npos) digits += ".0";
  return digits;
}

std::string DigitsOfReal(double magnitude, const NumberStyle& style) {
  const int64_t precision = style.precision < 0 ? 6 : style.precision;
  switch (style.type) {
    case 'e':
    case 'E':
      return style.alternate ? fmt::format("{:#.{}e}", magnitude, precision)
                             : fmt::format("{:.{}e}", magnitude, precision);
    case 'f':
    case 'F':
    case '%':
      return style.alternate ? fmt::format("{:#.{}f}", magnitude, precision)
                             : fmt::format("{:.{}f}", magnitude, precision);
    case 'r':
      if (style.precision < 0) return FormatFloat(magnitude);
      return WithPoint(fmt::format("{:.{}g}", magnitude, std::max<int64_t>(precision, 1)));
    default:
      return style.alternate ? fmt::format("{:#.{}g}", magnitude, std::max<int64_t>(precision, 1))
                             : fmt::format("{:.{}g}", magnitude, std::max<int64_t>(precision, 1));
  }
}

}  // namespace

NumberText FormatInteger(int64_t value, const NumberStyle& style) {
  const bool negative = value < 0;
  // Unsigned, because the magnitude of the smallest integer does not fit.
  const uint64_t magnitude = negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  NumberText text{SignOf(negative, style.sign), "", ""};
  const bool decimal = style.type == 'd' || style.type == 'n';
  switch (style.type) {
    case 'b': text.digits = fmt::format("{:b}", magnitude); break;
    case 'o': text.digits = fmt::format("{:o}", magnitude); break;
    case 'x': text.digits = fmt::format("{:x}", magnitude); break;
    case 'X': text.digits = fmt::format("{:X}", magnitude); break;
    default: text.digits = fmt::format("{}", magnitude);
  }
  if (style.precision > static_cast<int64_t>(text.digits.size())) {
    text.digits.insert(0, static_cast<size_t>(style.precision) - text.digits.size(), '0');
  }
  if (style.alternate && !decimal) text.prefix = std::string("0") + style.type;
  text.digits = Group(std::move(text.digits), style.grouping, decimal ? 3 : 4);
  return text;
}

Result<NumberText> FormatReal(Runtime& runtime, double value, const NumberStyle& style) {
  if (style.precision > 0) KV_TRY(runtime.Reserve(static_cast<size_t>(style.precision)));
  if (style.precision > INT32_MAX - 16) return Raise("precision too big");
  const bool upper = style.type == 'E' || style.type == 'F' || style.type == 'G';
  NumberText text{SignOf(std::signbit(value) && !std::isnan(value), style.sign), "", ""};
  const double magnitude = std::fabs(style.type == '%' ? value * 100 : value);
  if (std::isnan(magnitude)) {
    text.digits = "nan";
  } else if (std::isinf(magnitude)) {
    text.digits = "inf";
  } else {
    text.digits = Group(DigitsOfReal(magnitude, style), style.grouping, 3);
  }
  if (style.type == '%') text.digits += '%';
  if (upper) {
    for (char& c : text.digits) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

}  // namespace kvasir::jinja
