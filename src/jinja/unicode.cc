#include "jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <span>

#include "base/ascii.h"
#include "jinja/unicode_tables.h"

namespace kvasir::jinja {

namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kSmallSigma = 0x3C3;
constexpr char32_t kFinalSigma = 0x3C2;
constexpr char32_t kCapitalIWithDot = 0x130;

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

utf8proc_category_t Category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool Contains(std::span<const CodePointRange> ranges, char32_t c) {
  const auto it = std::ranges::upper_bound(ranges, c, {}, [](const CodePointRange& range) { return range.first; });
  return it != ranges.begin() && c <= std::prev(it)->last;
}

const SpecialCase* FindSpecial(char32_t c) {
  const auto it = std::ranges::lower_bound(kSpecialCases, c, {}, &SpecialCase::code_point);
  return it != kSpecialCases.end() && it->code_point == c ? &*it : nullptr;
}

void AppendSequence(std::u32string& out, const char32_t (&sequence)[4]) {
  for (const char32_t c : sequence) {
    if (c == 0) break;
    out.push_back(c);
  }
}

void AppendUpper(std::u32string& out, char32_t c) {
  if (const SpecialCase* special = FindSpecial(c)) return AppendSequence(out, special->upper);
  out.push_back(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

void AppendTitle(std::u32string& out, char32_t c) {
  if (const SpecialCase* special = FindSpecial(c)) return AppendSequence(out, special->title);
  out.push_back(static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
}

bool IsCased(char32_t c) {
  return IsLower(c) || IsUpper(c) || IsTitle(c);
}

bool IsCaseIgnorable(char32_t c) {
  switch (Category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2019;
  }
}

/// Sigma at the end of a word has its own small letter.
char32_t LowerSigma(std::u32string_view text, size_t position) {
  size_t before = position;
  while (before > 0 && IsCaseIgnorable(text[before - 1])) --before;
  if (before == 0 || !IsCased(text[before - 1])) return kSmallSigma;
  size_t after = position + 1;
  while (after < text.size() && IsCaseIgnorable(text[after])) ++after;
  return after < text.size() && IsCased(text[after]) ? kSmallSigma : kFinalSigma;
}

void AppendLower(std::u32string& out, std::u32string_view text, size_t position) {
  const char32_t c = text[position];
  if (c == kCapitalSigma) return out.push_back(LowerSigma(text, position));
  if (c == kCapitalIWithDot) {
    out += U"i\u0307";
    return;
  }
  out.push_back(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

bool IsAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

CodePoint DecodeAt(std::string_view text, size_t position) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[position + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || position + length > text.size()) return {kReplacement, 1};
  char32_t value = lead & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[position + i])) return {kReplacement, 1};
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  const bool too_long = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (too_long || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return {kReplacement, 1};
  return {value, length};
}

void AppendUtf8(std::string& out, char32_t c) {
  if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) c = kReplacement;
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (c >> 6)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (c >> 12)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | (c >> 18)));
    out.push_back(static_cast<char>(0x80 | ((c >> 12) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

std::string ToValidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeAt(text, i);
    AppendUtf8(out, c.value);
    i += c.bytes;
  }
  return out;
}

size_t CodePointCount(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return !IsContinuation(c); }));
}

size_t ByteOffset(std::string_view text, size_t index) {
  size_t i = 0;
  for (; i < text.size() && index > 0; --index) i += DecodeAt(text, i).bytes;
  return i;
}

size_t PreviousOffset(std::string_view text, size_t offset) {
  --offset;
  while (offset > 0 && IsContinuation(text[offset])) --offset;
  return offset;
}

std::u32string Decode(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeAt(text, i);
    out.push_back(c.value);
    i += c.bytes;
  }
  return out;
}

std::string Encode(std::u32string_view code_points) {
  std::string out;
  out.reserve(code_points.size());
  for (const char32_t c : code_points) AppendUtf8(out, c);
  return out;
}

bool IsSpace(char32_t c) {
  if (c < 0x80) return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsLineBreak(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool IsAlpha(char32_t c) {
  const auto category = Category(c);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool IsDecimal(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_ND;
}
std::string WithAsciiDigits(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeAt(text, i);
    if (c.value >= 0x80 && IsDecimal(c.value)) {
      // The digits of a script follow each other from its zero on, and so do those scripts that touch.
      char32_t zero = c.value;
      while (IsDecimal(zero - 1)) --zero;
      out += static_cast<char>('0' + (c.value - zero) % 10);
    } else {
      out += text.substr(i, c.bytes);
    }
    i += c.bytes;
  }
  return out;
}

bool IsDigit(char32_t c) {
  return IsDecimal(c) || Contains(kOtherDigits, c);
}

bool IsNumeric(char32_t c) {
  const auto category = Category(c);
  return (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) || Contains(kOtherNumeric, c);
}

bool IsAlnum(char32_t c) {
  return IsAlpha(c) || IsNumeric(c);
}
bool IsLower(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_LL || Contains(kOtherLowercase, c);
}
bool IsUpper(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_LU || Contains(kOtherUppercase, c);
}
bool IsTitle(char32_t c) {
  return Category(c) == UTF8PROC_CATEGORY_LT;
}

bool IsPrintable(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c != 0x7F;
  switch (Category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
  }
}

bool IsWord(char32_t c) {
  return c == '_' || IsAlnum(c);
}

bool IsIdentifierStart(char32_t c) {
  return c == '_' || IsAlpha(c) || Category(c) == UTF8PROC_CATEGORY_NL;
}

bool IsIdentifierPart(char32_t c) {
  if (IsIdentifierStart(c) || c == 0xB7) return true;
  switch (Category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return false;
  }
}

std::string ToUpper(std::string_view text) {
  if (IsAscii(text)) return base::Uppered(text);
  std::u32string out;
  for (const char32_t c : Decode(text)) AppendUpper(out, c);
  return Encode(out);
}

std::string ToLower(std::string_view text) {
  if (IsAscii(text)) return base::Lowered(text);
  const std::u32string source = Decode(text);
  std::u32string out;
  for (size_t i = 0; i < source.size(); ++i) AppendLower(out, source, i);
  return Encode(out);
}

std::string ToTitle(std::string_view text) {
  const std::u32string source = Decode(text);
  std::u32string out;
  bool in_word = false;
  for (size_t i = 0; i < source.size(); ++i) {
    in_word ? AppendLower(out, source, i) : AppendTitle(out, source[i]);
    in_word = IsCased(source[i]);
  }
  return Encode(out);
}

std::string Capitalize(std::string_view text) {
  const std::u32string source = Decode(text);
  std::u32string out;
  for (size_t i = 0; i < source.size(); ++i) i == 0 ? AppendTitle(out, source[0]) : AppendLower(out, source, i);
  return Encode(out);
}

std::string SwapCase(std::string_view text) {
  const std::u32string source = Decode(text);
  std::u32string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (IsUpper(source[i])) {
      AppendLower(out, source, i);
    } else if (IsLower(source[i])) {
      AppendUpper(out, source[i]);
    } else {
      out.push_back(source[i]);
    }
  }
  return Encode(out);
}

std::string CaseFold(std::string_view text) {
  std::string out;
  for (const char32_t c : Decode(text)) {
    utf8proc_int32_t folded[8];
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), folded, std::ssize(folded),
                                               UTF8PROC_CASEFOLD, &boundary);
    for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(count, std::ssize(folded)); ++i) {
      AppendUtf8(out, static_cast<char32_t>(folded[i]));
    }
  }
  return out;
}

std::string_view StripLeft(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = DecodeAt(text, 0);
    if (!IsSpace(c.value)) break;
    text.remove_prefix(c.bytes);
  }
  return text;
}

std::string_view StripRight(std::string_view text) {
  while (!text.empty()) {
    const size_t start = PreviousOffset(text, text.size());
    if (!IsSpace(DecodeAt(text, start).value)) break;
    text = text.substr(0, start);
  }
  return text;
}

}  // namespace kvasir::jinja
