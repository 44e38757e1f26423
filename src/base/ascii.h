// Characters of ASCII, whatever the locale says; others are none of what is asked for, and stay as they are.
#pragma once

#include <string>
#include <string_view>

namespace kvasir::base {

[[nodiscard]] constexpr bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

[[nodiscard]] constexpr char LowerOf(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] constexpr char UpperOf(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

[[nodiscard]] constexpr bool IsAlphanumeric(char c) {
  const char lower = LowerOf(c);
  return IsDigit(c) || (lower >= 'a' && lower <= 'z');
}

/// What `c` is worth as a digit of a base of up to 36: below 16 where it is hexadecimal. 36 for what is no digit.
[[nodiscard]] constexpr int DigitValue(char c) {
  if (!IsAlphanumeric(c)) return 36;
  return IsDigit(c) ? c - '0' : LowerOf(c) - 'a' + 10;
}

[[nodiscard]] inline std::string Lowered(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = LowerOf(c);
  return lowered;
}

[[nodiscard]] inline std::string Uppered(std::string_view text) {
  std::string uppered(text);
  for (char& c : uppered) c = UpperOf(c);
  return uppered;
}

}  // namespace kvasir::base
