#include "cli/utf8_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvasir::cli {
namespace {

unsigned Byte(std::string_view bytes, size_t i) {
  return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U;
}

bool Between(unsigned value, unsigned low, unsigned high) {
  return value >= low && value <= high;
}

}  // namespace

size_t Utf8Length(std::string_view bytes) {
  const unsigned first = Byte(bytes, 0);
  if (bytes.empty()) return 0;
  if (first < 0x80) return 1;
  size_t length = 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (Between(first, 0xC2, 0xDF)) {
    length = 2;
  } else if (Between(first, 0xE0, 0xEF)) {
    length = 3;
    if (first == 0xE0) low = 0xA0;   // shorter forms exist below
    if (first == 0xED) high = 0x9F;  // surrogates above
  } else if (Between(first, 0xF0, 0xF4)) {
    length = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;  // beyond U+10FFFF
  } else {
    return 0;
  }
  if (!Between(Byte(bytes, 1), low, high)) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (!Between(Byte(bytes, i), 0x80, 0xBF)) return 0;
  }
  return length;
}

std::optional<size_t> FirstInvalidUtf8(std::string_view bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = Utf8Length(bytes.substr(at, 4));
    if (length == 0) return at;
    at += length;
  }
  return std::nullopt;
}

Status CheckUtf8(std::string_view bytes, std::string_view what) {
  const auto at = FirstInvalidUtf8(bytes);
  if (!at) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} is not UTF-8 text: byte 0x{:02x} at position {}", what, Byte(bytes, *at), *at));
}

std::string Harmless(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text.substr(at, 4));
    const std::string_view character = text.substr(at, std::max<size_t>(length, 1));
    at += character.size();
    const unsigned first = Byte(character, 0);
    const bool is_c1 = length == 2 && first == 0xC2 && Byte(character, 1) < 0xA0;
    const bool is_harmless = length > 0 && (first >= 0x20 || first == '\n') && first != 0x7F && !is_c1;
    out += is_harmless ? character : "\uFFFD";
  }
  return out;
}

std::string_view TrimBlanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string Escape(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = Utf8Length(bytes.substr(at, 4));
    const std::string_view character = bytes.substr(at, length == 0 ? 1 : length);
    at += character.size();
    const unsigned byte = Byte(character, 0);
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (byte == '\r') {
      out += "\\r";
    } else if (byte == '\\') {
      out += "\\\\";
    } else if (length == 0 || byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else if (length == 2 && byte == 0xC2 && Byte(character, 1) < 0xA0) {
      out += fmt::format("\\xc2\\x{:02x}", Byte(character, 1));
    } else {
      out += character;
    }
  }
  return out;
}

}  // namespace kvasir::cli
