#include "jinja/python_text.h"

#include <fmt/format.h>

#include <iterator>

#include "base/check.h"
#include "jinja/dict.h"
#include "jinja/numbers.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

void AppendEscape(char32_t c, std::string& out) {
  const auto code = static_cast<uint32_t>(c);
  if (code < 0x100) {
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", code);
  } else if (code < 0x10000) {
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", code);
  } else {
    fmt::format_to(std::back_inserter(out), "\\U{:08x}", code);
  }
}

Status AppendItems(Runtime& runtime, const Value& sequence, std::string& out) {
  const auto& items = sequence.items();
  out += sequence.is_list() ? '[' : '(';
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ", ";
    KV_TRY(AppendRepr(runtime, items[i], out));
  }
  if (sequence.is_tuple() && items.size() == 1) out += ',';
  out += sequence.is_list() ? ']' : ')';
  return {};
}

Status AppendEntries(Runtime& runtime, const Dict& dict, std::string& out) {
  out += '{';
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (!first) out += ", ";
    first = false;
    KV_TRY(AppendRepr(runtime, key, out));
    out += ": ";
    KV_TRY(AppendRepr(runtime, value, out));
  }
  out += '}';
  return {};
}

}  // namespace

void AppendQuoted(std::string_view text, std::string& out, bool ascii) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out += quote;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeAt(text, i);
    switch (c.value) {
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\\': out += "\\\\"; break;
      default:
        if (c.value == static_cast<char32_t>(quote)) {
          out += '\\';
          out += quote;
        } else if (IsPrintable(c.value) && !(ascii && c.value >= 0x80)) {
          out += text.substr(i, c.bytes);
        } else {
          AppendEscape(c.value, out);
        }
    }
    i += c.bytes;
  }
  out += quote;
}

Status AppendRepr(Runtime& runtime, const Value& value, std::string& out) {
  const DepthGuard guard(runtime);
  KV_TRY(guard.Check());
  // A value that shares its parts can unfold to more than was ever stored.
  KV_TRY(runtime.Reserve(out.size()));
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined: out += "Undefined"; return {};
    case Kind::kNone: out += "None"; return {};
    case Kind::kBool: out += value.boolean() ? "True" : "False"; return {};
    case Kind::kInt: fmt::format_to(std::back_inserter(out), "{}", value.integer()); return {};
    case Kind::kFloat: out += FormatFloat(value.number()); return {};
    case Kind::kString:
      KV_TRY(runtime.Step(1 + value.text().size() / 64));
      if (value.is_markup()) out += "Markup(";
      AppendQuoted(value.text(), out);
      if (value.is_markup()) out += ')';
      return {};
    case Kind::kList:
    case Kind::kTuple: return AppendItems(runtime, value, out);
    case Kind::kDict: return AppendEntries(runtime, value.dict(), out);
    case Kind::kObject: return value.object()->Repr(runtime, out);
  }
  return {};
}

Status AppendStr(Runtime& runtime, const Value& value, std::string& out) {
  if (value.is_undefined() || value.is_missing()) return {};
  if (!value.is_string()) return AppendRepr(runtime, value, out);
  KV_TRY(runtime.Reserve(out.size() + value.text().size()));
  out += value.text();
  return {};
}

Result<std::string> ToStr(Runtime& runtime, const Value& value) {
  std::string out;
  KV_TRY(AppendStr(runtime, value, out));
  return out;
}

Result<std::string> ToRepr(Runtime& runtime, const Value& value) {
  std::string out;
  KV_TRY(AppendRepr(runtime, value, out));
  return out;
}

}  // namespace kvasir::jinja
