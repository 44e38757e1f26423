// str.isalpha and its relatives.

#include "jinja/string_predicates.h"

#include <algorithm>

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

/// Whether `text` is not empty and `holds` for each of its characters.
template <typename Predicate>
bool All(std::string_view text, Predicate holds) {
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeAt(text, i);
    if (!holds(c.value)) return false;
    i += c.bytes;
  }
  return !text.empty();
}

/// Whether `text` has a character of `wanted` and none of `unwanted`, which are predicates.
template <typename Wanted, typename Unwanted>
bool SomeAndNo(std::string_view text, Wanted wanted, Unwanted unwanted) {
  bool found = false;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeAt(text, i);
    if (unwanted(c.value)) return false;
    found = found || wanted(c.value);
    i += c.bytes;
  }
  return found;
}

bool IsTitleCase(std::string_view text) {
  bool found = false;
  bool in_word = false;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeAt(text, i);
    i += c.bytes;
    if (IsUpper(c.value) || IsTitle(c.value)) {
      if (in_word) return false;
      found = in_word = true;
    } else if (IsLower(c.value)) {
      if (!in_word) return false;
    } else {
      in_word = false;
    }
  }
  return found;
}

template <bool (*predicate)(char32_t)>
Result<Value> AllAre(Call& call) {
  KV_TRY(call.runtime.Step(1 + call.self.text().size() / 32));
  return Value::Bool(All(call.self.text(), predicate));
}

template <bool (*predicate)(std::string_view)>
Result<Value> TextIs(Call& call) {
  KV_TRY(call.runtime.Step(1 + call.self.text().size() / 32));
  return Value::Bool(predicate(call.self.text()));
}

bool IsAsciiText(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool IsPrintableText(std::string_view text) {
  return text.empty() || All(text, IsPrintable);
}

bool IsIdentifier(std::string_view text) {
  return All(text, IsIdentifierPart) && IsIdentifierStart(DecodeAt(text, 0).value);
}

constexpr Builtin kPredicates[] = {
    {"isalnum", "", AllAre<IsAlnum>},
    {"isalpha", "", AllAre<IsAlpha>},
    {"isascii", "", TextIs<IsAsciiText>},
    {"isdecimal", "", AllAre<IsDecimal>},
    {"isdigit", "", AllAre<IsDigit>},
    {"isidentifier", "", TextIs<IsIdentifier>},
    {"islower", "", TextIs<IsLowerCase>},
    {"isnumeric", "", AllAre<IsNumeric>},
    {"isprintable", "", TextIs<IsPrintableText>},
    {"isspace", "", AllAre<IsSpace>},
    {"istitle", "", TextIs<IsTitleCase>},
    {"isupper", "", TextIs<IsUpperCase>},
};

}  // namespace

bool IsLowerCase(std::string_view text) {
  return SomeAndNo(text, IsLower, [](char32_t c) { return IsUpper(c) || IsTitle(c); });
}

bool IsUpperCase(std::string_view text) {
  return SomeAndNo(text, IsUpper, [](char32_t c) { return IsLower(c) || IsTitle(c); });
}

std::span<const Builtin> StringPredicates() {
  return kPredicates;
}

}  // namespace kvasir::jinja
