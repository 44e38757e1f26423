#include "text/utf8.h"

#include <cstdint>
#include <cstring>

namespace kvasir::text {
namespace {

constexpr Utf8Char kInvalidByte{0xFFFD, 1, Utf8Status::kInvalid};

// How a leading byte continues: the number of bytes, and the bounds of the second one, which alone rule out overlong
// forms, surrogates and values above U+10FFFF (Unicode Standard, table 3-7).
struct Lead {
  int length;
  uint8_t low;
  uint8_t high;
};

constexpr Lead LeadOf(uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Char DecodeUtf8(std::string_view text, size_t at) {
  const auto first = static_cast<uint8_t>(text[at]);
  if (first < 0x80) return {first, 1, Utf8Status::kValid};
  const Lead lead = LeadOf(first);
  if (lead.length == 0) return kInvalidByte;

  char32_t code_point = first & (0x7Fu >> lead.length);
  uint8_t low = lead.low, high = lead.high;
  for (int i = 1; i < lead.length; ++i) {
    if (at + static_cast<size_t>(i) == text.size()) return {0xFFFD, i, Utf8Status::kTruncated};
    const auto byte = static_cast<uint8_t>(text[at + static_cast<size_t>(i)]);
    if (byte < low || byte > high) return {0xFFFD, i, Utf8Status::kInvalid};
    code_point = (code_point << 6) | (byte & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {code_point, lead.length, Utf8Status::kValid};
}

void AppendUtf8(char32_t code_point, std::string& out) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(static_cast<uint8_t>(byte))); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

size_t ValidUtf8Prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t eight;
    if (at + sizeof eight <= text.size()) {  // most text is ASCII: eight bytes at a time
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080u) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    const Utf8Char next = DecodeUtf8(text, at);
    if (next.status != Utf8Status::kValid) return at;
    at += static_cast<size_t>(next.length);
  }
  return at;
}

void AppendReplacingInvalid(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const size_t valid = ValidUtf8Prefix(text);
    out.append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) return;
    out.append(kReplacementUtf8);
    text.remove_prefix(static_cast<size_t>(DecodeUtf8(text, 0).length));
  }
}

}  // namespace kvasir::text
