#include "jinja/string_literal.h"

#include <fmt/format.h>

#include <optional>

#include "base/ascii.h"
#include "base/check.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

std::optional<char> SimpleEscape(char c) {
  switch (c) {
    case '\\':
    case '\'':
    case '"': return c;
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    default: return std::nullopt;
  }
}

/// Reads the escapes of one literal.
class Decoder {
 public:
  explicit Decoder(std::string_view literal) : literal_(literal) {}

  Result<std::string> Run() {
    while (position_ < literal_.size()) {
      const char c = literal_[position_];
      if (c != '\\' || position_ + 1 >= literal_.size()) {
        out_ += c;
        ++position_;
        continue;
      }
      ++position_;
      KV_TRY(Escape());
    }
    return std::move(out_);
  }

 private:
  Status Escape() {
    const char c = literal_[position_];
    if (const auto simple = SimpleEscape(c)) {
      out_ += *simple;
      ++position_;
      return {};
    }
    switch (c) {
      case '\n': ++position_; return {};
      case 'x': return Hex(2, "truncated \\xXX escape");
      case 'u': return Hex(4, "truncated \\uXXXX escape");
      case 'U': return Hex(8, "truncated \\UXXXXXXXX escape");
      case 'N': return Fail(ErrorCode::kUnsupported, "characters by name (\\N{...}) are not supported in templates");
      default: break;
    }
    if (c >= '0' && c <= '7') {
      Octal();
      return {};
    }
    out_ += '\\';
    Unknown();
    return {};
  }

  Status Hex(size_t digits, const char* truncated) {
    char32_t value = 0;
    for (size_t i = 1; i <= digits; ++i) {
      const int digit = position_ + i < literal_.size() ? base::DigitValue(literal_[position_ + i]) : 16;
      if (digit >= 16) return Fail(ErrorCode::kInvalidArgument, truncated);
      value = value * 16 + static_cast<char32_t>(digit);
    }
    if (value > 0x10FFFF) return Fail(ErrorCode::kInvalidArgument, "illegal Unicode character");
    if (value >= 0xD800 && value < 0xE000) {
      return Fail(ErrorCode::kUnsupported, "a surrogate in a string literal is not supported: write \\UXXXXXXXX");
    }
    AppendUtf8(out_, value);
    position_ += digits + 1;
    return {};
  }

  void Octal() {
    char32_t value = 0;
    for (int i = 0; i < 3 && position_ < literal_.size(); ++i, ++position_) {
      const char c = literal_[position_];
      if (c < '0' || c > '7') break;
      value = value * 8 + static_cast<char32_t>(c - '0');
    }
    AppendUtf8(out_, value);
  }

  /// The character after a backslash that starts no escape. Jinja spells what is not ASCII as an escape of its own
  /// before it resolves escapes, so a backslash before such a character shows that spelling.
  void Unknown() {
    const CodePoint c = DecodeAt(literal_, position_);
    position_ += c.bytes;
    const auto code = static_cast<uint32_t>(c.value);
    if (code < 0x80) {
      out_ += static_cast<char>(code);
    } else if (code < 0x100) {
      out_ += fmt::format("x{:02x}", code);
    } else if (code < 0x10000) {
      out_ += fmt::format("u{:04x}", code);
    } else {
      out_ += fmt::format("U{:08x}", code);
    }
  }

  std::string_view literal_;
  size_t position_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> DecodeStringLiteral(std::string_view literal) {
  return Decoder(literal).Run();
}

}  // namespace kvasir::jinja
