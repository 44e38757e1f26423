#include "jinja/numbers.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/ascii.h"
#include "jinja/raise.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

/// The base that a prefix such as 0x announces, or 0.
int PrefixBase(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  switch (text[1]) {
    case 'x':
    case 'X': return 16;
    case 'o':
    case 'O': return 8;
    case 'b':
    case 'B': return 2;
    default: return 0;
  }
}

/// Drops single underscores between digits; nothing when one stands elsewhere.
std::optional<std::string> WithoutUnderscores(std::string_view text, int base) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits.push_back(text[i]);
      continue;
    }
    const bool between =
        i > 0 && i + 1 < text.size() && base::DigitValue(text[i - 1]) < base && base::DigitValue(text[i + 1]) < base;
    if (!between) return std::nullopt;
  }
  return digits;
}

}  // namespace

std::string FormatFloat(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer;
  const auto scientific =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<size_t>(scientific.ptr - buffer.data()));
  const size_t e = text.find('e');
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  std::string result(buffer.data(), fixed.ptr);
  if (result.find('.') == std::string::npos) result += ".0";
  return result;
}

Result<std::optional<int64_t>> ParseInt(std::string_view given, int base) {
  const std::string ascii = WithAsciiDigits(StripLeft(StripRight(given)));
  std::string_view text = ascii;
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const bool any_base = base == 0;
  if (const int prefix = PrefixBase(text); prefix != 0 && (any_base || base == prefix)) {
    base = prefix;
    text.remove_prefix(2);
    if (text.starts_with('_')) text.remove_prefix(1);
  } else if (any_base) {
    base = 10;
    if (text.size() > 1 && text[0] == '0' && text.find_first_not_of("0_") != std::string_view::npos)
      return std::nullopt;
  }
  const auto digits = WithoutUnderscores(text, base);
  if (!digits || digits->empty()) return std::nullopt;
  int64_t value = 0;
  bool overflow = false;
  for (const char c : *digits) {
    const int digit = base::DigitValue(c);
    if (digit >= base) return std::nullopt;
    overflow = overflow || __builtin_mul_overflow(value, base, &value) ||
               __builtin_sub_overflow(value, static_cast<int64_t>(digit), &value);
  }
  if (overflow || (!negative && value == INT64_MIN)) return RaiseTooLarge();
  return negative ? value : -value;
}

std::optional<double> ParseFloat(std::string_view text) {
  const auto plain = WithoutUnderscores(WithAsciiDigits(StripLeft(StripRight(text))), 10);
  if (!plain || plain->empty()) return std::nullopt;
  std::string_view digits = *plain;
  const bool negative = digits[0] == '-';
  if (negative || digits[0] == '+') digits.remove_prefix(1);
  const std::string lower = ToLower(digits);
  double value = 0;
  if (lower == "inf" || lower == "infinity") {
    value = HUGE_VAL;
  } else if (lower == "nan") {
    value = std::nan("");
  } else {
    if (digits.empty() || !(digits[0] == '.' || (digits[0] >= '0' && digits[0] <= '9'))) return std::nullopt;
    if (PrefixBase(digits) == 16) return std::nullopt;
    // strtod and not from_chars: the latter leaves the value unset when it is out of range.
    const std::string copy(digits);
    char* end = nullptr;
    value = std::strtod(copy.c_str(), &end);
    if (end != copy.c_str() + copy.size()) return std::nullopt;
  }
  return negative ? -value : value;
}

Result<int64_t> TruncateToInt(double value) {
  if (std::isnan(value)) return Raise("cannot convert float NaN to integer");
  if (std::isinf(value)) return Raise("cannot convert float infinity to integer");
  constexpr double kLimit = 9223372036854775808.0;
  if (value >= kLimit || value < -kLimit) return RaiseTooLarge();
  return static_cast<int64_t>(value);
}

double RoundTo(double value, int64_t digits) {
  if (!std::isfinite(value) || value == 0 || digits > 330) return value;
  if (digits < -310) return std::copysign(0.0, value);
  if (digits >= 0) return std::strtod(fmt::format("{:.{}f}", value, digits).c_str(), nullptr);
  const double scale = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(value / scale) * scale;
}

}  // namespace kvasir::jinja
