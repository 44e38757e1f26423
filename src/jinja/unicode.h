// Code points of UTF-8 text: counting, classifying, changing case, all as Python's `str` does it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvasir::jinja {

/// A code point and the bytes it took.
struct CodePoint {
  char32_t value = 0;
  size_t bytes = 1;
};

/// The code point at `position`, which must be below text.size(). A byte that starts no valid sequence is U+FFFD.
[[nodiscard]] CodePoint DecodeAt(std::string_view text, size_t position);
/// Appends `code_point`; surrogates and values beyond U+10FFFF become U+FFFD.
void AppendUtf8(std::string& out, char32_t code_point);
/// A copy in which every invalid byte is U+FFFD. Everything the room works on has gone through this once.
[[nodiscard]] std::string ToValidUtf8(std::string_view text);

/// Code points in valid UTF-8.
[[nodiscard]] size_t CodePointCount(std::string_view text);
/// Byte offset of code point `index`, or text.size() when there are fewer.
[[nodiscard]] size_t ByteOffset(std::string_view text, size_t index);
/// Byte offset of the code point that ends at `offset`, which must not be 0.
[[nodiscard]] size_t PreviousOffset(std::string_view text, size_t offset);
[[nodiscard]] std::u32string Decode(std::string_view text);
[[nodiscard]] std::string Encode(std::u32string_view code_points);

[[nodiscard]] bool IsSpace(char32_t c);      ///< str.isspace, and \s of `re`
[[nodiscard]] bool IsLineBreak(char32_t c);  ///< where str.splitlines cuts
[[nodiscard]] bool IsAlpha(char32_t c);
[[nodiscard]] bool IsDecimal(char32_t c);
/// `text` with a decimal digit of any script as 0 to 9, which is what int() and float() read.
[[nodiscard]] std::string WithAsciiDigits(std::string_view text);
[[nodiscard]] bool IsDigit(char32_t c);
[[nodiscard]] bool IsNumeric(char32_t c);
[[nodiscard]] bool IsAlnum(char32_t c);
[[nodiscard]] bool IsLower(char32_t c);
[[nodiscard]] bool IsUpper(char32_t c);
[[nodiscard]] bool IsTitle(char32_t c);
[[nodiscard]] bool IsPrintable(char32_t c);
[[nodiscard]] bool IsWord(char32_t c);  ///< \w of `re`
[[nodiscard]] bool IsIdentifierStart(char32_t c);
[[nodiscard]] bool IsIdentifierPart(char32_t c);

[[nodiscard]] std::string ToUpper(std::string_view text);
[[nodiscard]] std::string ToLower(std::string_view text);
[[nodiscard]] std::string ToTitle(std::string_view text);     ///< str.title
[[nodiscard]] std::string Capitalize(std::string_view text);  ///< str.capitalize
[[nodiscard]] std::string SwapCase(std::string_view text);
[[nodiscard]] std::string CaseFold(std::string_view text);

/// `text` without the whitespace at its start, or at its end.
[[nodiscard]] std::string_view StripLeft(std::string_view text);
[[nodiscard]] std::string_view StripRight(std::string_view text);

}  // namespace kvasir::jinja
