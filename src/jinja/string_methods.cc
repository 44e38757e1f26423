// The methods of str that make new strings. Those of Markup are the same, except that they escape what they take in and
// return Markup.

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/dict.h"
#include "jinja/html.h"
#include "jinja/iteration.h"
#include "jinja/operators.h"
#include "jinja/python_format.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"
#include "jinja/text_operations.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

/// A string of the type of the one whose method is called.
Value Same(Call& call, std::string text) {
  return call.runtime.String(std::move(text), call.self.is_markup());
}

/// Argument `index` as it goes into the result: escaped, when the string is Markup and the argument is not.
std::string Inserted(Call& call, size_t index, std::string_view text) {
  const bool escapes = call.self.is_markup() && !(call[index] != nullptr && call[index]->is_markup());
  return escapes ? EscapeHtml(text) : std::string(text);
}

template <std::string (*change)(std::string_view)>
Result<Value> ChangedSelf(Call& call) {
  KV_TRY(call.runtime.Step(1 + call.self.text().size() / 32));
  return Same(call, change(call.self.text()));
}

template <Side side>
Result<Value> StripMethod(Call& call) {
  std::optional<std::string_view> characters;
  if (call.Has(0)) {
    KV_ASSIGN(characters, call.Text(0));
  }
  return Same(call, std::string(Strip(call.self.text(), side, characters)));
}

Result<Value> ReplaceMethod(Call& call) {
  KV_ASSIGN(const std::string_view old, call.Text(0));
  KV_ASSIGN(const std::string_view replacement, call.Text(1));
  KV_ASSIGN(const int64_t count, call.Int(2, -1));
  KV_ASSIGN(std::string text, Replace(call.runtime, call.self.text(), old, Inserted(call, 1, replacement), count));
  return Same(call, std::move(text));
}

template <Side side>
Result<Value> PadMethod(Call& call) {
  KV_ASSIGN(const int64_t width, call.Int(0, 0));
  KV_ASSIGN(const std::string_view fill, call.Text(1, " "));
  const std::string inserted = Inserted(call, 1, fill);
  if (CodePointCount(inserted) != 1) return Raise("The fill character must be exactly one character long");
  KV_ASSIGN(std::string text, Pad(call.runtime, call.self.text(), width, inserted, side));
  return Same(call, std::move(text));
}

Result<Value> ZeroFill(Call& call) {
  KV_ASSIGN(const int64_t width, call.Int(0, 0));
  std::string_view text = call.self.text();
  std::string sign;
  if (text.starts_with('-') || text.starts_with('+')) {
    sign = text.substr(0, 1);
    text.remove_prefix(1);
    if (width == INT64_MIN) return Same(call, call.self.text());
  }
  KV_ASSIGN(std::string digits, Pad(call.runtime, text, width - static_cast<int64_t>(sign.size()), "0", Side::kLeft));
  return Same(call, sign + digits);
}

Result<Value> RemovePrefix(Call& call) {
  KV_ASSIGN(const std::string_view prefix, call.Text(0));
  std::string_view text = call.self.text();
  if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  return Same(call, std::string(text));
}

Result<Value> RemoveSuffix(Call& call) {
  KV_ASSIGN(const std::string_view suffix, call.Text(0));
  std::string_view text = call.self.text();
  if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
  return Same(call, std::string(text));
}

Result<Value> ExpandTabs(Call& call) {
  KV_ASSIGN(const int64_t size, call.Int(0, 8));
  std::string out;
  int64_t column = 0;
  const std::string& text = call.self.text();
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeAt(text, i);
    if (c.value == '\t') {
      const int64_t blanks = size > 0 ? size - column % size : 0;
      KV_TRY(call.runtime.Reserve(out.size() + static_cast<size_t>(blanks)));
      out.append(static_cast<size_t>(blanks), ' ');
      column += blanks;
    } else {
      out += text.substr(i, c.bytes);
      column = c.value == '\n' || c.value == '\r' ? 0 : column + 1;
    }
    i += c.bytes;
  }
  return Same(call, std::move(out));
}

Result<Value> JoinMethod(Call& call) {
  KV_ASSIGN(const std::vector<Value> items, Collect(call.runtime, *call[0]));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += call.self.text();
    if (call.self.is_markup()) {
      KV_ASSIGN(const std::string shown, ToStr(call.runtime, items[i]));
      out += items[i].is_markup() ? shown : EscapeHtml(shown);
    } else {
      if (!items[i].is_string()) {
        return Raise("sequence item {}: expected str instance, {} found", i, items[i].type_name());
      }
      out += items[i].text();
    }
    KV_TRY(call.runtime.Reserve(out.size()));
  }
  return Same(call, std::move(out));
}

Result<Value> FormatMethod(Call& call) {
  return FormatBraces(call.runtime, call.self, call.arguments);
}

Result<Value> FormatMap(Call& call) {
  if (!call[0]->is_dict()) return Raise("format_map() argument must be a mapping, not {}", call[0]->type_name());
  Arguments arguments;
  for (const auto& [key, value] : call[0]->dict().entries()) {
    KV_TRY(call.runtime.Step());
    if (key.is_string()) arguments.keyword.emplace_back(key.text(), value);
  }
  return FormatBraces(call.runtime, call.self, arguments);
}

Result<Value> NoSuchMethod(Call& call) {
  return Fail(ErrorCode::kUnsupported, fmt::format("the method {}() of strings is not supported", call.name));
}

constexpr Builtin kStringMethods[] = {
    {"upper", "", ChangedSelf<ToUpper>},
    {"lower", "", ChangedSelf<ToLower>},
    {"title", "", ChangedSelf<ToTitle>},
    {"capitalize", "", ChangedSelf<Capitalize>},
    {"swapcase", "", ChangedSelf<SwapCase>},
    {"casefold", "", ChangedSelf<CaseFold>},
    {"strip", "/chars?", StripMethod<Side::kBoth>},
    {"lstrip", "/chars?", StripMethod<Side::kLeft>},
    {"rstrip", "/chars?", StripMethod<Side::kRight>},
    {"replace", "/old /new /count?", ReplaceMethod},
    {"center", "/width /fillchar?", PadMethod<Side::kBoth>},
    {"ljust", "/width /fillchar?", PadMethod<Side::kRight>},
    {"rjust", "/width /fillchar?", PadMethod<Side::kLeft>},
    {"zfill", "/width", ZeroFill},
    {"removeprefix", "/prefix", RemovePrefix},
    {"removesuffix", "/suffix", RemoveSuffix},
    {"expandtabs", "tabsize?", ExpandTabs},
    {"join", "/iterable", JoinMethod},
    {"format", "*", FormatMethod},
    {"format_map", "/mapping", FormatMap},
    {"encode", "*", NoSuchMethod},
    {"maketrans", "*", NoSuchMethod},
    {"translate", "*", NoSuchMethod},
};

Result<Value> Unescape(Call& call) {
  return call.runtime.String(UnescapeHtml(call.self.text()));
}

Result<Value> StripTagsMethod(Call& call) {
  return call.runtime.String(StripTags(call.self.text()));
}

/// Markup.escape is a class method: it escapes its argument.
Result<Value> EscapeSelf(Call& call) {
  KV_ASSIGN(const std::string shown, ToStr(call.runtime, *call[0]));
  return call.runtime.String(call[0]->is_markup() ? shown : EscapeHtml(shown), true);
}

constexpr Builtin kMarkupMethods[] = {
    {"unescape", "", Unescape},
    {"striptags", "", StripTagsMethod},
    {"escape", "/s", EscapeSelf},
};

}  // namespace

std::span<const Builtin> StringMethods() {
  return kStringMethods;
}
std::span<const Builtin> MarkupMethods() {
  return kMarkupMethods;
}

}  // namespace kvasir::jinja
