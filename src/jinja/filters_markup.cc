// Filters that know about HTML.

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/dict.h"
#include "jinja/html.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

namespace {

Result<std::string> Escaped(Runtime& runtime, const Value& value) {
  KV_ASSIGN(std::string text, ToStr(runtime, value));
  return value.is_markup() ? text : EscapeHtml(text);
}

Result<Value> Escape(Call& call) {
  KV_ASSIGN(std::string text, Escaped(call.runtime, call.self));
  return call.runtime.String(std::move(text), true);
}

Result<Value> ForceEscape(Call& call) {
  KV_ASSIGN(const std::string text, ToStr(call.runtime, call.self));
  return call.runtime.String(EscapeHtml(text), true);
}

Result<Value> Safe(Call& call) {
  KV_ASSIGN(std::string text, ToStr(call.runtime, call.self));
  return call.runtime.String(std::move(text), true);
}

Result<Value> StripTagsFilter(Call& call) {
  KV_ASSIGN(const std::string text, ToStr(call.runtime, call.self));
  return call.runtime.String(StripTags(text));
}

Result<Value> XmlAttributes(Call& call) {
  KV_ASSIGN(const bool autospace, call.Flag(0, true));
  if (call.self.is_undefined()) return RaiseUndefined(call.self);
  if (!call.self.is_dict()) return Raise("'{}' object has no attribute 'items'", call.self.type_name());
  std::string out;
  for (const auto& [key, value] : call.self.dict().entries()) {
    if (value.is_none() || value.is_undefined()) continue;
    if (!key.is_string()) return Raise("expected string or bytes-like object, got '{}'", key.type_name());
    if (key.text().find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      return Raise("Invalid character in attribute name: '{}'", key.text());
    }
    KV_ASSIGN(const std::string name, Escaped(call.runtime, key));
    KV_ASSIGN(const std::string text, Escaped(call.runtime, value));
    if (!out.empty() || autospace) out += ' ';
    out += name + "=\"" + text + "\"";
    KV_TRY(call.runtime.Reserve(out.size()));
  }
  return call.runtime.String(std::move(out));
}

constexpr Builtin kMarkupFilters[] = {
    {"e", "", Escape},
    {"escape", "", Escape},
    {"forceescape", "", ForceEscape},
    {"safe", "", Safe},
    {"striptags", "", StripTagsFilter},
    {"xmlattr", "autospace?", XmlAttributes},
};

}  // namespace

std::span<const Builtin> MarkupFilters() {
  return kMarkupFilters;
}

}  // namespace kvasir::jinja
