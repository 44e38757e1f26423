#include "server/tools/python_literal.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "server/tools/cursor.h"

namespace kvasir::server {
namespace {

constexpr int kDeepest = 32;

void AppendUtf8(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0U | code >> 6U);
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0U | code >> 12U);
    out += static_cast<char>(0x80U | (code >> 6U & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else {
    out += static_cast<char>(0xF0U | code >> 18U);
    out += static_cast<char>(0x80U | (code >> 12U & 0x3FU));
    out += static_cast<char>(0x80U | (code >> 6U & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  }
}

class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  std::optional<Json> Whole() {
    auto value = Value(0);
    Space();
    return text_.empty() ? value : std::nullopt;
  }

 private:
  void Space() {
    while (!text_.empty() && IsSpace(text_.front())) text_.remove_prefix(1);
  }
  bool Take(char c) {
    Space();
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::optional<Json> Value(int depth) {
    Space();
    if (text_.empty() || depth > kDeepest) return std::nullopt;
    switch (text_.front()) {
      case '"':
      case '\'': return Text();
      case '[': return List(']', depth);
      case '(': return List(')', depth);
      case '{': return Dictionary(depth);
      default: return Word();
    }
  }

  std::optional<Json> List(char close, int depth) {
    text_.remove_prefix(1);
    Json list = Json::array();
    while (!Take(close)) {
      auto item = Value(depth + 1);
      if (!item) return std::nullopt;
      list.push_back(std::move(*item));
      if (Take(',')) continue;
      if (Take(close)) break;
      return std::nullopt;
    }
    return list;
  }

  std::optional<Json> Dictionary(int depth) {
    text_.remove_prefix(1);
    Json object = Json::object();
    while (!Take('}')) {
      const auto key = Value(depth + 1);
      if (!key || !key->is_string() || !Take(':')) return std::nullopt;
      auto value = Value(depth + 1);
      if (!value) return std::nullopt;
      object[key->get<std::string>()] = std::move(*value);
      if (Take(',')) continue;
      if (Take('}')) break;
      return std::nullopt;
    }
    return object;
  }

  std::optional<Json> Text() {
    const char quote = text_.front();
    text_.remove_prefix(1);
    std::string value;
    while (!text_.empty()) {
      const char c = text_.front();
      text_.remove_prefix(1);
      if (c == quote) return Json(value);
      if (c != '\\') {
        value += c;
      } else if (!Escape(value)) {
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

  bool Escape(std::string& value) {
    if (text_.empty()) return false;
    const char c = text_.front();
    text_.remove_prefix(1);
    constexpr auto kPlain = std::to_array<std::pair<char, char>>({{'n', '\n'},
                                                                  {'t', '\t'},
                                                                  {'r', '\r'},
                                                                  {'b', '\b'},
                                                                  {'f', '\f'},
                                                                  {'\\', '\\'},
                                                                  {'\'', '\''},
                                                                  {'"', '"'},
                                                                  {'/', '/'}});
    for (const auto& [letter, meaning] : kPlain) {
      if (c != letter) continue;
      value += meaning;
      return true;
    }
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {  // Python keeps the backslash of an escape that it does not know
      value += '\\';
      value += c;
      return true;
    }
    std::optional<uint32_t> code = Hex(text_.substr(0, digits), digits);
    if (!code) return false;
    text_.remove_prefix(digits);
    // The two halves of a character beyond the first 65536, as JSON writes it.
    if (*code >= 0xD800 && *code < 0xDC00 && text_.starts_with("\\u")) {
      const std::optional<uint32_t> low = Hex(text_.substr(2, 4), 4);
      if (!low || *low < 0xDC00 || *low >= 0xE000) return false;
      text_.remove_prefix(6);
      code = 0x10000 + ((*code - 0xD800) << 10U) + (*low - 0xDC00);
    }
    if (*code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000)) return false;
    AppendUtf8(*code, value);
    return true;
  }

  static std::optional<uint32_t> Hex(std::string_view text, size_t digits) {
    constexpr std::string_view kDigits = "0123456789abcdef0123456789ABCDEF";
    if (text.size() != digits) return std::nullopt;
    uint32_t code = 0;
    for (const char c : text) {
      const size_t digit = kDigits.find(c);
      if (digit == std::string_view::npos) return std::nullopt;
      code = code << 4U | static_cast<uint32_t>(digit % 16);
    }
    return code;
  }

  std::optional<Json> Word() {
    size_t size = 0;
    while (size < text_.size() && !IsSpace(text_[size]) &&
           std::string_view(",:)]}").find(text_[size]) == std::string_view::npos) {
      ++size;
    }
    const std::string word(text_.substr(0, size));
    text_.remove_prefix(size);
    if (word == "True" || word == "true") return Json(true);
    if (word == "False" || word == "false") return Json(false);
    if (word == "None" || word == "null") return Json(nullptr);
    const Json number = Json::parse(word, nullptr, /*allow_exceptions=*/false);
    return number.is_number() ? std::optional(number) : std::nullopt;
  }

  std::string_view text_;
};

}  // namespace

std::optional<Json> ReadPythonLiteral(std::string_view text) {
  return LiteralReader(text).Whole();
}

std::string WritePythonLiteral(const Json& value) {
  if (value.is_null()) return "None";
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  std::string text;
  if (value.is_array()) {
    for (const Json& item : value) text += (text.empty() ? "" : ", ") + WritePythonLiteral(item);
    return "[" + text + "]";
  }
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", DumpJson(key), WritePythonLiteral(item));
    }
    return "{" + text + "}";
  }
  return DumpJson(value);
}

}  // namespace kvasir::server
