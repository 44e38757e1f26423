// UTF-8 read from untrusted bytes: decode one code point, find what is malformed, replace it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvasir::text {

inline constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";  ///< U+FFFD

/// U+2581, which SentencePiece vocabularies write for a space.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

enum class Utf8Status {
  kValid,
  kInvalid,    ///< No continuation can make these bytes a character.
  kTruncated,  ///< The text ends inside a character that is well formed so far.
};

/// One step through a text. Where the status is not kValid, `length` is the maximal malformed part, which the Unicode
/// Standard (section 3.9) advises to replace by one U+FFFD, and `code_point` is U+FFFD.
struct Utf8Char {
  char32_t code_point;
  int length;
  Utf8Status status;
};

/// Decodes the character at `at`, which must be inside `text`. `length` is 1 to 4 and stays inside `text`.
Utf8Char DecodeUtf8(std::string_view text, size_t at);

/// Appends `code_point` (a Unicode scalar value) to `out`.
void AppendUtf8(char32_t code_point, std::string& out);

/// The number of bytes before the first malformed one; text.size() if all is valid.
size_t ValidUtf8Prefix(std::string_view text);

/// Appends `text` to `out` with U+FFFD for each maximal malformed part.
void AppendReplacingInvalid(std::string_view text, std::string& out);

}  // namespace kvasir::text
