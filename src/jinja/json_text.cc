#include "jinja/json_text.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "jinja/big_integer.h"
#include "jinja/dict.h"
#include "jinja/numbers.h"
#include "jinja/raise.h"
#include "jinja/request_text.h"
#include "jinja/sorting.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

Result<Value> FromJson(Runtime& runtime, const nlohmann::ordered_json& json, uint32_t depth);

Value MakeBigInteger(Runtime& runtime, std::string digits) {
  return runtime.MakeObject(std::make_shared<BigInteger>(std::move(digits), &runtime.meter()));
}

Result<Value> ListFromJson(Runtime& runtime, const nlohmann::ordered_json& json, uint32_t depth) {
  std::vector<Value> items;
  items.reserve(json.size());
  for (const auto& element : json) {
    KV_ASSIGN(Value item, FromJson(runtime, element, depth + 1));
    items.push_back(std::move(item));
  }
  return runtime.MakeList(std::move(items));
}

Result<Value> DictFromJson(Runtime& runtime, const nlohmann::ordered_json& json, uint32_t depth) {
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, element] : json.items()) {
    KV_ASSIGN(Value value, FromJson(runtime, element, depth + 1));
    KV_TRY(dict->Insert(runtime, runtime.String(ToValidUtf8(key)), std::move(value)));
  }
  return runtime.MakeDict(std::move(dict));
}

Result<Value> FromJson(Runtime& runtime, const nlohmann::ordered_json& json, uint32_t depth) {
  KV_TRY(runtime.Step());
  if (depth > kMaxValueDepth / 2) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the variables of the template nest deeper than {} levels", kMaxValueDepth / 2));
  }
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::null: return Value::None();
    case nlohmann::ordered_json::value_t::boolean: return Value::Bool(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_integer: return Value::Int(json.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
        return MakeBigInteger(runtime, std::to_string(json.get<uint64_t>()));
      }
      return Value::Int(json.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_float: return Value::Float(json.get<double>());
    case nlohmann::ordered_json::value_t::string:
      return runtime.String(ToValidUtf8(json.get_ref<const std::string&>()));
    case nlohmann::ordered_json::value_t::array: return ListFromJson(runtime, json, depth);
    case nlohmann::ordered_json::value_t::object: return DictFromJson(runtime, json, depth);
    case nlohmann::ordered_json::value_t::binary: {
      const auto& bytes = json.get_binary();
      if (!bytes.has_subtype() || bytes.subtype() != kBigIntegerSubtype) break;
      return MakeBigInteger(runtime, std::string(bytes.begin(), bytes.end()));
    }
    case nlohmann::ordered_json::value_t::discarded: break;
  }
  return Raise("a variable of the template is binary data, which no template can print");
}

class Writer {
 public:
  Writer(Runtime& runtime, const JsonStyle& style) : runtime_(runtime), style_(style) {}

  Status Write(const Value& value) {
    const DepthGuard guard(runtime_);
    KV_TRY(guard.Check());
    KV_TRY(runtime_.Reserve(out.size()));
    switch (value.kind()) {
      case Kind::kNone: out += "null"; return {};
      case Kind::kBool: out += value.boolean() ? "true" : "false"; return {};
      case Kind::kInt: out += std::to_string(value.integer()); return {};
      case Kind::kFloat: WriteFloat(value.number()); return {};
      case Kind::kString: WriteString(value.text()); return {};
      case Kind::kList:
      case Kind::kTuple: return WriteList(value.items());
      case Kind::kDict: return WriteDict(value.dict());
      default:
        if (const auto* big = value.As<BigInteger>()) {
          out += big->digits();
          return {};
        }
        return Raise("Object of type {} is not JSON serializable", value.type_name());
    }
  }

  std::string out;

 private:
  void WriteFloat(double number) {
    if (std::isnan(number)) {
      out += "NaN";
    } else if (std::isinf(number)) {
      out += number < 0 ? "-Infinity" : "Infinity";
    } else {
      out += FormatFloat(number);
    }
  }

  void WriteEscape(char32_t c) {
    if (c >= 0x10000) {
      const auto rest = static_cast<uint32_t>(c - 0x10000);
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
    } else {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    }
  }

  void WriteString(std::string_view text) {
    out += '"';
    for (size_t i = 0; i < text.size();) {
      const CodePoint c = DecodeAt(text, i);
      switch (c.value) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        case '\f': out += "\\f"; break;
        case '\b': out += "\\b"; break;
        default:
          if (c.value < 0x20 || (style_.ensure_ascii && c.value > 0x7E)) {
            WriteEscape(c.value);
          } else {
            out += text.substr(i, c.bytes);
          }
      }
      i += c.bytes;
    }
    out += '"';
  }

  void NewLine() {
    if (!style_.pretty) return;
    out += '\n';
    for (size_t i = 0; i < level_; ++i) out += style_.indent;
  }

  /// What stands between two items: a trailing blank of the separator gives way to the line break.
  void Separate(bool first) {
    if (!first) out += style_.item_separator;
    NewLine();
  }

  Status WriteList(const std::vector<Value>& items) {
    if (items.empty()) {
      out += "[]";
      return {};
    }
    out += '[';
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      Separate(i == 0);
      KV_TRY(Write(items[i]));
    }
    --level_;
    NewLine();
    out += ']';
    return {};
  }

  Status WriteKey(const Value& key) {
    if (const auto* big = key.As<BigInteger>()) {
      WriteString(big->digits());
      return {};
    }
    switch (key.kind()) {
      case Kind::kString: WriteString(key.text()); return {};
      case Kind::kNone:
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kFloat: {
        out += '"';
        KV_TRY(Write(key));
        out += '"';
        return {};
      }
      default: return Raise("keys must be str, int, float, bool or None, not {}", key.type_name());
    }
  }

  Status WriteDict(const Dict& dict) {
    if (dict.size() == 0) {
      out += "{}";
      return {};
    }
    std::vector<Dict::Entry> entries = dict.entries();
    if (style_.sort_keys) {
      KV_TRY(SortBy(runtime_, entries, &Dict::Entry::first, false));
    }
    out += '{';
    ++level_;
    for (size_t i = 0; i < entries.size(); ++i) {
      Separate(i == 0);
      KV_TRY(WriteKey(entries[i].first));
      out += style_.key_separator;
      KV_TRY(Write(entries[i].second));
    }
    --level_;
    NewLine();
    out += '}';
    return {};
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  size_t level_ = 0;
};

}  // namespace

Result<Value> FromJson(Runtime& runtime, const nlohmann::ordered_json& json) {
  return FromJson(runtime, json, 1);
}

Result<std::string> ToJson(Runtime& runtime, const Value& value, const JsonStyle& style) {
  KV_TRY(runtime.Reserve(style.indent.size(), kMaxValueDepth));
  Writer writer(runtime, style);
  KV_TRY(writer.Write(value));
  return std::move(writer.out);
}

}  // namespace kvasir::jinja
