// Filters that change the characters of a text.

#include <cmath>

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/dict.h"
#include "jinja/html.h"
#include "jinja/iteration.h"
#include "jinja/numbers.h"
#include "jinja/operators.h"
#include "jinja/python_format.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"
#include "jinja/text_operations.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

/// The filtered value as a string, which keeps being Markup if it is.
Result<Value> AsText(Call& call) {
  if (call.self.is_string()) return call.self;
  KV_ASSIGN(std::string text, ToStr(call.runtime, call.self));
  return call.runtime.String(std::move(text));
}

template <std::string (*change)(std::string_view)>
Result<Value> Changed(Call& call) {
  KV_ASSIGN(const Value text, AsText(call));
  KV_TRY(call.runtime.Step(1 + text.text().size() / 32));
  return call.runtime.String(change(text.text()), text.is_markup());
}

/// Unlike str.title, words begin only behind blanks, dashes and opening brackets.
std::string TitleWords(std::string_view text) {
  std::string out;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t end = 0;
    const auto separates = [&](size_t at) {
      const char32_t c = DecodeAt(rest, at).value;
      return IsSpace(c) || std::u32string_view(U"-({[<").find(c) != std::u32string_view::npos;
    };
    const bool is_separator = separates(0);
    while (end < rest.size() && separates(end) == is_separator) end += DecodeAt(rest, end).bytes;
    const std::string_view item = rest.substr(0, end);
    const size_t first = DecodeAt(item, 0).bytes;
    out += ToUpper(item.substr(0, first)) + ToLower(item.substr(first));
    rest.remove_prefix(end);
  }
  return out;
}

Result<Value> ToText(Call& call) {
  return AsText(call);
}

Result<Value> Trim(Call& call) {
  KV_ASSIGN(const Value text, AsText(call));
  std::optional<std::string_view> characters;
  if (call.Has(0)) {
    KV_ASSIGN(characters, call.Text(0));
  }
  return call.runtime.String(std::string(Strip(text.text(), Side::kBoth, characters)), text.is_markup());
}

Result<Value> Center(Call& call) {
  KV_ASSIGN(const Value text, AsText(call));
  KV_ASSIGN(const int64_t width, call.Int(0, 80));
  KV_ASSIGN(std::string padded, Pad(call.runtime, text.text(), width, " ", Side::kBoth));
  return call.runtime.String(std::move(padded), text.is_markup());
}

Result<Value> ReplaceText(Call& call) {
  KV_ASSIGN(const std::string text, ToStr(call.runtime, call.self));
  KV_ASSIGN(const std::string old, ToStr(call.runtime, *call[0]));
  KV_ASSIGN(const std::string replacement, ToStr(call.runtime, *call[1]));
  int64_t count = -1;
  if (call.Has(2)) {
    KV_ASSIGN(count, call.Int(2, -1));
  }
  KV_ASSIGN(std::string result, Replace(call.runtime, text, old, replacement, count));
  return call.runtime.String(std::move(result));
}

Result<Value> Format(Call& call) {
  KV_ASSIGN(const Value text, AsText(call));
  Arguments& arguments = call.arguments;
  if (!arguments.positional.empty() && !arguments.keyword.empty()) {
    return Raise("can't handle positional and keyword arguments at the same time");
  }
  if (arguments.keyword.empty()) {
    return FormatPercent(call.runtime, text, call.runtime.MakeTuple(std::move(arguments.positional)));
  }
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, value] : arguments.keyword) {
    KV_TRY(dict->Insert(call.runtime, call.runtime.String(key), value));
  }
  return FormatPercent(call.runtime, text, call.runtime.MakeDict(std::move(dict)));
}

Result<Value> Truncate(Call& call) {
  KV_ASSIGN(const int64_t length, call.Int(0, 255));
  KV_ASSIGN(const bool kill_words, call.Flag(1, false));
  KV_ASSIGN(const std::string_view ending, call.Text(2, "..."));
  int64_t leeway = 5;
  if (call.Has(3)) {
    KV_ASSIGN(leeway, call.Int(3, 5));
  }
  const auto ending_length = static_cast<int64_t>(CodePointCount(ending));
  if (length < ending_length) return Raise("expected length >= {}, got {}", ending_length, length);
  if (leeway < 0) return Raise("expected leeway >= 0, got {}", leeway);
  KV_ASSIGN(const size_t size, Length(call.runtime, call.self));
  // Subtracted, not added: length + leeway may overflow.
  if (static_cast<int64_t>(size) - leeway <= length) return call.self;
  if (!call.self.is_string()) return Raise("can only truncate str, not {}", call.self.type_name());
  const std::string_view text = call.self.text();
  std::string_view kept = text.substr(0, ByteOffset(text, static_cast<size_t>(length - ending_length)));
  if (!kill_words) kept = kept.substr(0, kept.rfind(' '));
  const bool markup = call.self.is_markup();
  const bool escapes = markup && !(call[2] != nullptr && call[2]->is_markup());
  return call.runtime.String(std::string(kept) + (escapes ? EscapeHtml(ending) : std::string(ending)), markup);
}

Result<Value> WordCount(Call& call) {
  KV_ASSIGN(const Value text, AsText(call));
  KV_TRY(call.runtime.Step(1 + text.text().size() / 32));
  int64_t count = 0;
  bool in_word = false;
  for (const char32_t c : Decode(text.text())) {
    const bool is_word = IsWord(c);
    count += is_word && !in_word ? 1 : 0;
    in_word = is_word;
  }
  return Value::Int(count);
}

std::string QuoteUrl(std::string_view text, bool for_query) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain =
        std::isalnum(byte) || c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !for_query);
    if (is_plain) {
      out += c;
    } else if (c == ' ' && for_query) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

Result<Value> UrlEncode(Call& call) {
  if (call.self.is_string() || !IsIterable(call.self)) {
    KV_ASSIGN(const std::string text, ToStr(call.runtime, call.self));
    return call.runtime.String(QuoteUrl(text, false));
  }
  std::vector<std::pair<Value, Value>> pairs;
  if (call.self.is_dict()) {
    pairs = call.self.dict().entries();
  } else {
    KV_ASSIGN(const std::vector<Value> items, Collect(call.runtime, call.self));
    for (const Value& item : items) {
      KV_ASSIGN(const std::vector<Value> parts, Collect(call.runtime, item));
      if (parts.size() != 2) return Raise("each item must be a pair, not of length {}", parts.size());
      pairs.emplace_back(parts[0], parts[1]);
    }
  }
  std::string out;
  for (const auto& [key, value] : pairs) {
    KV_ASSIGN(const std::string key_text, ToStr(call.runtime, key));
    KV_ASSIGN(const std::string value_text, ToStr(call.runtime, value));
    if (!out.empty()) out += '&';
    out += QuoteUrl(key_text, true) + "=" + QuoteUrl(value_text, true);
    KV_TRY(call.runtime.Reserve(out.size()));
  }
  return call.runtime.String(std::move(out));
}

constexpr Builtin kTextFilters[] = {
    {"upper", "", Changed<ToUpper>},
    {"lower", "", Changed<ToLower>},
    {"capitalize", "", Changed<Capitalize>},
    {"title", "", Changed<TitleWords>},
    {"string", "", ToText},
    {"trim", "chars?", Trim},
    {"center", "width?", Center},
    {"replace", "old new count?", ReplaceText},
    {"format", "*", Format},
    {"truncate", "length? killwords? end? leeway?", Truncate},
    {"wordcount", "", WordCount},
    {"urlencode", "", UrlEncode},
};

}  // namespace

std::span<const Builtin> TextFilters() {
  return kTextFilters;
}

}  // namespace kvasir::jinja
