// `"{name!r:>10}".format(...)` and format specifications.

#include "base/check.h"
#include "jinja/access.h"
#include "jinja/big_integer.h"
#include "jinja/html.h"
#include "jinja/numbers.h"
#include "jinja/operators.h"
#include "jinja/python_format.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

/// [[fill]align][sign][#][0][width][grouping][.precision][type]
struct Spec {
  std::string fill = " ";
  char align = 0;  ///< '<', '>', '^', '=', or 0 for the default of the type
  NumberStyle style;
  char type = 0;
  bool has_sign = false;
  int64_t width = 0;
};

bool IsAlign(char c) {
  return c == '<' || c == '>' || c == '^' || c == '=';
}

Result<int64_t> TakeCount(std::string_view& spec, int64_t otherwise) {
  if (spec.empty() || spec[0] < '0' || spec[0] > '9') return otherwise;
  int64_t count = 0;
  while (!spec.empty() && spec[0] >= '0' && spec[0] <= '9') {
    count = count * 10 + (spec[0] - '0');
    if (count > INT32_MAX) return Raise("Too many decimal digits in format string");
    spec.remove_prefix(1);
  }
  return count;
}

bool TakeIf(std::string_view& spec, char c) {
  if (!spec.starts_with(c)) return false;
  spec.remove_prefix(1);
  return true;
}

Result<Spec> ParseSpec(std::string_view text) {
  Spec spec;
  std::string_view rest = text;
  const size_t first = rest.empty() ? 0 : DecodeAt(rest, 0).bytes;
  if (rest.size() > first && IsAlign(rest[first])) {
    spec.fill = rest.substr(0, first);
    spec.align = rest[first];
    rest.remove_prefix(first + 1);
  } else if (!rest.empty() && IsAlign(rest[0])) {
    spec.align = rest[0];
    rest.remove_prefix(1);
  }
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-' || rest[0] == ' ')) {
    spec.style.sign = rest[0];
    spec.has_sign = true;
    rest.remove_prefix(1);
  }
  spec.style.alternate = TakeIf(rest, '#');
  if (spec.align == 0 && rest.starts_with('0')) {
    spec.fill = "0";
    spec.align = '=';
    rest.remove_prefix(1);
  }
  KV_ASSIGN(spec.width, TakeCount(rest, 0));
  if (TakeIf(rest, ',')) spec.style.grouping = ',';
  if (TakeIf(rest, '_')) spec.style.grouping = '_';
  if (TakeIf(rest, '.')) {
    KV_ASSIGN(spec.style.precision, TakeCount(rest, -1));
    if (spec.style.precision < 0) return Raise("Format specifier missing precision");
  }
  if (!rest.empty()) {
    spec.type = rest[0];
    rest.remove_prefix(1);
  }
  if (!rest.empty()) return Raise("Invalid format specifier '{}'", text);
  return spec;
}

Result<std::string> PadTo(Runtime& runtime, const Spec& spec, std::string_view head, std::string_view body,
                          char align) {
  KV_TRY(runtime.Reserve(static_cast<size_t>(spec.width), spec.fill.size()));
  const size_t length = CodePointCount(head) + CodePointCount(body);
  const size_t missing = static_cast<size_t>(spec.width) > length ? static_cast<size_t>(spec.width) - length : 0;
  const size_t before = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  const size_t inside = align == '=' ? missing : 0;
  std::string out;
  for (size_t i = 0; i < before; ++i) out += spec.fill;
  out += head;
  for (size_t i = 0; i < inside; ++i) out += spec.fill;
  out += body;
  for (size_t i = before + inside; i < missing; ++i) out += spec.fill;
  return out;
}

std::unexpected<Error> UnknownType(char type, const Value& value) {
  return Raise("Unknown format code '{}' for object of type '{}'", type, value.type_name());
}

Result<std::string> FormatTextWithSpec(Runtime& runtime, const Value& value, const Spec& spec) {
  if (spec.type != 0 && spec.type != 's') return UnknownType(spec.type, value);
  if (spec.has_sign) return Raise("Sign not allowed in string format specifier");
  if (spec.align == '=' && spec.fill != "0") return Raise("'=' alignment not allowed in string format specifier");
  std::string text = value.text();
  if (spec.style.precision >= 0) text.resize(ByteOffset(text, static_cast<size_t>(spec.style.precision)));
  return PadTo(runtime, spec, "", text, spec.align == 0 || spec.align == '=' ? '<' : spec.align);
}

Result<std::string> FormatNumberWithSpec(Runtime& runtime, const Value& value, Spec spec) {
  const char align = spec.align == 0 ? '>' : spec.align;
  const bool real_type = spec.type != 0 && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  if (value.is_integral() && !real_type) {
    if (spec.style.precision >= 0) return Raise("Precision not allowed in integer format specifier");
    if (spec.type == 'c') {
      if (value.integer() < 0 || value.integer() > 0x10FFFF) return Raise("%c arg not in range(0x110000)");
      std::string character;
      AppendUtf8(character, static_cast<char32_t>(value.integer()));
      return PadTo(runtime, spec, "", character, spec.align == 0 ? '<' : spec.align);
    }
    if (spec.type != 0 && std::string_view("bdoxXn").find(spec.type) == std::string_view::npos) {
      return UnknownType(spec.type, value);
    }
    spec.style.type = spec.type == 0 ? 'd' : spec.type;
    const NumberText text = FormatInteger(value.integer(), spec.style);
    return PadTo(runtime, spec, text.sign + text.prefix, text.digits, align);
  }
  if (spec.type != 0 && spec.type != 'n' && !real_type) return UnknownType(spec.type, value);
  spec.style.type = spec.type == 0 ? 'r' : spec.type == 'n' ? 'g' : spec.type;
  KV_ASSIGN(const NumberText text, FormatReal(runtime, value.number(), spec.style));
  return PadTo(runtime, spec, text.sign, text.digits, align);
}

class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, const Arguments& arguments, bool markup)
      : runtime_(runtime), arguments_(arguments), markup_(markup) {}

  /// Formats `text`; `nesting` is how many fields' specifications enclose it.
  Result<std::string> Format(std::string_view text, int nesting) {
    if (nesting > 2) return Raise("Max string recursion exceeded");
    std::string out;
    for (size_t i = 0; i < text.size();) {
      const char c = text[i];
      const bool doubled = i + 1 < text.size() && text[i + 1] == c;
      if ((c == '{' || c == '}') && doubled) {
        out += c;
        i += 2;
      } else if (c == '}') {
        return Raise("Single '}}' encountered in format string");
      } else if (c == '{') {
        KV_ASSIGN(const size_t end, FindEnd(text, i + 1));
        KV_ASSIGN(const std::string field, FormatField(text.substr(i + 1, end - i - 1), nesting));
        KV_TRY(runtime_.Reserve(out.size() + field.size()));
        out += field;
        i = end + 1;
      } else {
        out += c;
        ++i;
      }
    }
    return out;
  }

 private:
  /// The position of the brace that closes the field starting at `start`.
  static Result<size_t> FindEnd(std::string_view text, size_t start) {
    int depth = 1;
    for (size_t i = start; i < text.size(); ++i) {
      if (text[i] == '[' && depth == 1) {
        i = std::min(text.find(']', i), text.size() - 1);
        continue;
      }
      if (text[i] == '{') ++depth;
      if (text[i] == '}' && --depth == 0) return i;
    }
    return Raise("expected '}}' before end of string");
  }

  Result<std::string> FormatField(std::string_view field, int nesting) {
    const size_t bracket = field.find(']');
    const size_t search_from = bracket == std::string_view::npos ? 0 : bracket;
    const size_t name_end = std::min(field.find_first_of("!:", search_from), field.size());
    std::string_view rest = field.substr(name_end);
    char conversion = 0;
    if (rest.starts_with('!')) {
      if (rest.size() < 2) return Raise("end of string while looking for conversion specifier");
      conversion = rest[1];
      rest.remove_prefix(2);
      if (!rest.empty() && rest[0] != ':') return Raise("expected ':' after conversion specifier");
    }
    if (rest.starts_with(':')) rest.remove_prefix(1);
    KV_ASSIGN(Value value, Lookup(field.substr(0, name_end)));
    KV_ASSIGN(const std::string spec, Format(rest, nesting + 1));
    KV_ASSIGN(value, Convert(std::move(value), conversion));
    const bool is_safe = value.is_markup();
    KV_ASSIGN(std::string shown, FormatWithSpec(runtime_, value, spec));
    return markup_ && !is_safe ? EscapeHtml(shown) : shown;
  }

  Result<Value> Convert(Value value, char conversion) {
    std::string shown;
    switch (conversion) {
      case 0: return value;
      case 's': KV_TRY(AppendStr(runtime_, value, shown)); break;
      case 'r': KV_TRY(AppendRepr(runtime_, value, shown)); break;
      case 'a':
        if (value.is_string()) {
          AppendQuoted(value.text(), shown, true);
        } else {
          KV_TRY(AppendRepr(runtime_, value, shown));
        }
        break;
      default: return Raise("Unknown conversion specifier {}", conversion);
    }
    return runtime_.String(std::move(shown));
  }

  Result<Value> First(std::string_view name) {
    if (name.empty()) {
      if (numbered_) return Raise("cannot switch from manual field specification to automatic field numbering");
      automatic_ = true;
      return Positional(static_cast<int64_t>(next_++));
    }
    if (name.find_first_not_of("0123456789") == std::string_view::npos) {
      if (automatic_) return Raise("cannot switch from manual field specification to automatic field numbering");
      numbered_ = true;
      KV_ASSIGN(const std::optional<int64_t> index, ParseInt(name, 10));
      return Positional(*index);
    }
    for (const auto& [key, value] : arguments_.keyword) {
      if (key == name) return value;
    }
    return Raise("the format has no argument '{}'", name);
  }

  Result<Value> Positional(int64_t index) {
    if (static_cast<uint64_t>(index) >= arguments_.positional.size()) {
      return Raise("Replacement index {} out of range for positional args tuple", index);
    }
    return arguments_.positional[static_cast<size_t>(index)];
  }

  /// name(.attribute | [item])*
  Result<Value> Lookup(std::string_view path) {
    const size_t name_end = std::min(path.find_first_of(".["), path.size());
    KV_ASSIGN(Value value, First(path.substr(0, name_end)));
    path.remove_prefix(name_end);
    while (!path.empty()) {
      KV_TRY(runtime_.Step());
      if (path[0] == '.') {
        const size_t end = std::min(path.find_first_of(".[", 1), path.size());
        if (end == 1) return Raise("Empty attribute in format string");
        KV_ASSIGN(value, GetAttribute(runtime_, value, path.substr(1, end - 1)));
        path.remove_prefix(end);
        continue;
      }
      const size_t end = path.find(']');
      if (path[0] != '[') return Raise("Only '.' or '[' may follow ']' in format field specifier");
      if (end == std::string_view::npos) return Raise("Missing ']' in format string");
      if (end == 1) return Raise("Empty attribute in format string");
      const std::string_view key = path.substr(1, end - 1);
      const bool is_index = key.find_first_not_of("0123456789") == std::string_view::npos;
      Value item = runtime_.String(std::string(key));
      if (is_index) {
        KV_ASSIGN(const std::optional<int64_t> index, ParseInt(key, 10));
        item = Value::Int(*index);
      }
      KV_ASSIGN(value, GetItem(runtime_, value, item));
      path.remove_prefix(end + 1);
    }
    return value;
  }

  Runtime& runtime_;
  const Arguments& arguments_;
  bool markup_;
  size_t next_ = 0;
  bool automatic_ = false;
  bool numbered_ = false;
};

}  // namespace

Result<std::string> FormatWithSpec(Runtime& runtime, const Value& value, std::string_view spec) {
  if (spec.empty()) return ToStr(runtime, value);
  if (IsBigInteger(value)) return RaiseNotComputed(value, value);
  if (!value.is_string() && !value.is_number()) {
    return Raise("unsupported format string passed to {}.__format__", value.type_name());
  }
  KV_ASSIGN(Spec parsed, ParseSpec(spec));
  return value.is_string() ? FormatTextWithSpec(runtime, value, parsed)
                           : FormatNumberWithSpec(runtime, value, std::move(parsed));
}

Result<Value> FormatBraces(Runtime& runtime, const Value& format, const Arguments& arguments) {
  BraceFormatter formatter(runtime, arguments, format.is_markup());
  KV_ASSIGN(std::string out, formatter.Format(format.text(), 0));
  return runtime.String(std::move(out), format.is_markup());
}

}  // namespace kvasir::jinja
