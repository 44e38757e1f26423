// Tokens of a template.
//
// The language has two levels. Between tags everything is data; a tag is "{{", "{%" or "{#", and the nearest one ends
// the data. Inside a tag there are Python-like tokens until the closing brace, which counts only when all parentheses
// are closed. Whitespace around tags follows Jinja2 with trim_blocks and lstrip_blocks on:
//   - "{%-" takes all whitespace before the tag, "-%}" all after it;
//   - otherwise blanks before a block or comment that is first on its line are dropped, unless it starts with "{%+";
//   - one newline right after "%}" or "#}" is dropped, unless it is "+%}";
//   - "{{" and "}}" only ever take whitespace with a minus.
// Source: the behaviour of Jinja2 3.1, found by its documentation and by experiment.

#include "jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "jinja/numbers.h"
#include "jinja/string_literal.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

/// \r\n and \r become \n, and one newline at the very end goes.
std::string NormalizeSource(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

bool IsAsciiDigit(char c) {
  return c >= '0' && c <= '9';
}

class Lexer {
 public:
  explicit Lexer(std::string text) : text_(std::move(text)), source_(text_) {}

  Result<std::vector<Token>> Run() {
    while (position_ < source_.size()) KV_TRY(LexData());
    Emit(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  enum class Tag : uint8_t { kVariable, kBlock, kComment, kRaw };

  char At(size_t position) const { return position < source_.size() ? source_[position] : '\0'; }
  bool Starts(std::string_view prefix) const { return source_.substr(position_).starts_with(prefix); }

  void Emit(TokenKind kind, std::string_view text) { tokens_.push_back({kind, line_, std::string(text), 0, 0}); }

  /// Moves on to `position`, counting the lines passed.
  void MoveTo(size_t position) {
    const std::string_view passed = source_.substr(position_, position - position_);
    line_ += static_cast<int>(std::ranges::count(passed, '\n'));
    line_starting_ = passed.empty() ? line_starting_ : passed.back() == '\n';
    position_ = position;
  }

  size_t AfterSpace(size_t position) const {
    return source_.size() - StripLeft(source_.substr(std::min(position, source_.size()))).size();
  }

  /// The position behind a closing `brace` ("%}", "#}" or "}}") at `position`, with its whitespace; nothing when there
  /// is none. `trims` is whether a newline after it is dropped and a plus sign before it understood.
  std::optional<size_t> MatchClose(size_t position, std::string_view brace, bool trims) const {
    const std::string_view rest = source_.substr(std::min(position, source_.size()));
    const bool signed_close = rest.size() > brace.size() && rest.substr(1).starts_with(brace);
    if (signed_close && rest[0] == '-') return AfterSpace(position + 1 + brace.size());
    if (signed_close && rest[0] == '+' && trims) return position + 1 + brace.size();
    if (!rest.starts_with(brace)) return std::nullopt;
    const size_t end = position + brace.size();
    return trims && At(end) == '\n' ? end + 1 : end;
  }

  /// The position behind "{% raw %}" when that stands at `position`.
  std::optional<size_t> MatchRawBegin(size_t position) const {
    size_t next = position + 2;
    if (At(next) == '-' || At(next) == '+') ++next;
    next = AfterSpace(next);
    if (!source_.substr(next).starts_with("raw")) return std::nullopt;
    next = AfterSpace(next + 3);
    if (source_.substr(next).starts_with("-%}")) return AfterSpace(next + 3);
    if (source_.substr(next).starts_with("%}")) return next + 2;
    return std::nullopt;
  }

  /// Emits the data up to a tag at `tag_position` whose sign stands at `sign_position`.
  void EmitDataBefore(size_t tag_position, size_t sign_position, bool strips_blanks) {
    std::string_view data = source_.substr(position_, tag_position - position_);
    const char sign = At(sign_position);
    if (sign == '-') {
      data = StripRight(data);
    } else if (sign != '+' && strips_blanks) {
      const size_t newline = data.rfind('\n');
      const size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
      if ((line_start > 0 || line_starting_) && StripLeft(data.substr(line_start)).empty()) {
        data = data.substr(0, line_start);
      }
    }
    if (!data.empty()) Emit(TokenKind::kData, data);
  }

  Status LexData() {
    size_t open = source_.find('{', position_);
    while (open != std::string_view::npos && At(open + 1) != '{' && At(open + 1) != '%' && At(open + 1) != '#') {
      open = source_.find('{', open + 1);
    }
    if (open == std::string_view::npos) {
      Emit(TokenKind::kData, source_.substr(position_));
      MoveTo(source_.size());
      return {};
    }
    EmitDataBefore(open, open + 2, At(open + 1) != '{');
    if (At(open + 1) == '%') {
      if (const auto raw = MatchRawBegin(open)) {
        MoveTo(*raw);
        return LexRaw();
      }
    }
    const char sign = At(open + 2);
    MoveTo(open);
    const int tag_line = line_;
    MoveTo(open + (sign == '-' || sign == '+' ? 3 : 2));
    if (source_[open + 1] == '#') return LexComment(tag_line);
    return source_[open + 1] == '{' ? LexTag(TokenKind::kVariableBegin, TokenKind::kVariableEnd, "}}", false)
                                    : LexTag(TokenKind::kBlockBegin, TokenKind::kBlockEnd, "%}", true);
  }

  Status LexComment(int tag_line) {
    if (position_ == source_.size()) return {};
    const size_t close = source_.find("#}", position_);
    if (close == std::string_view::npos) return FailAt(tag_line, "Missing end of comment tag");
    const char before = close > position_ ? source_[close - 1] : '\0';
    MoveTo(*MatchClose(before == '-' || before == '+' ? close - 1 : close, "#}", true));
    return {};
  }

  /// The position of the "{%" of the next "{% endraw %}" and the one behind it.
  std::optional<std::pair<size_t, size_t>> FindRawEnd() const {
    for (size_t open = source_.find("{%", position_); open != std::string_view::npos;
         open = source_.find("{%", open + 1)) {
      size_t next = open + 2;
      if (At(next) == '-' || At(next) == '+') ++next;
      next = AfterSpace(next);
      if (!source_.substr(next).starts_with("endraw")) continue;
      if (const auto close = MatchClose(AfterSpace(next + 6), "%}", true)) return std::pair{open, *close};
    }
    return std::nullopt;
  }

  Status LexRaw() {
    if (position_ == source_.size()) return {};
    const auto end = FindRawEnd();
    if (!end) return FailAt(line_, "Missing end of raw directive");
    EmitDataBefore(end->first, end->first + 2, true);
    MoveTo(end->second);
    return {};
  }

  Status LexTag(TokenKind begin, TokenKind end, std::string_view brace, bool trims) {
    Emit(begin, "");
    open_.clear();
    while (position_ < source_.size()) {
      if (open_.empty()) {
        if (const auto close = MatchClose(position_, brace, trims)) {
          Emit(end, "");
          MoveTo(*close);
          return {};
        }
      }
      KV_TRY(LexExpressionToken());
    }
    return {};
  }

  Status LexExpressionToken() {
    const CodePoint c = DecodeAt(source_, position_);
    if (IsSpace(c.value)) {
      MoveTo(AfterSpace(position_));
      return {};
    }
    if (IsAsciiDigit(source_[position_])) return LexNumber();
    if (IsIdentifierPart(c.value) || IsWord(c.value)) return LexName();
    if (c.value == '"' || c.value == '\'') return LexString();
    return LexOperator();
  }

  /// The position behind digits with single underscores between them.
  size_t AfterDigits(size_t position) const {
    if (!IsAsciiDigit(At(position))) return position;
    while (IsAsciiDigit(At(position)) || (At(position) == '_' && IsAsciiDigit(At(position + 1)))) ++position;
    return position;
  }

  /// The position behind a float at the current one, or nothing.
  std::optional<size_t> MatchFloat() const {
    if (position_ > 0 && source_[position_ - 1] == '.') return std::nullopt;
    const size_t whole = AfterDigits(position_);
    size_t end = whole;
    if (At(whole) == '.' && IsAsciiDigit(At(whole + 1))) end = AfterDigits(whole + 1);
    if (At(end) == 'e' || At(end) == 'E') {
      const size_t digits = At(end + 1) == '+' || At(end + 1) == '-' ? end + 2 : end + 1;
      if (IsAsciiDigit(At(digits))) return AfterDigits(digits);
    }
    return end == whole ? std::nullopt : std::optional(end);
  }

  /// The position behind an integer at the current one. A leading zero stands alone: "012" is 0 and 12.
  size_t MatchInteger() const {
    if (source_[position_] != '0') return AfterDigits(position_);
    const auto after = [&](auto is_digit) {
      size_t end = position_ + 2;
      while (is_digit(At(end)) || (At(end) == '_' && is_digit(At(end + 1)))) ++end;
      return end > position_ + 2 ? end : position_ + 1;
    };
    switch (At(position_ + 1)) {
      case 'x':
      case 'X': return after([](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
      case 'o':
      case 'O': return after([](char c) { return c >= '0' && c <= '7'; });
      case 'b':
      case 'B': return after([](char c) { return c == '0' || c == '1'; });
      default: break;
    }
    size_t end = position_ + 1;
    while (At(end) == '0' || (At(end) == '_' && At(end + 1) == '0')) ++end;
    return end;
  }

  Status LexNumber() {
    if (const auto end = MatchFloat()) {
      Emit(TokenKind::kFloat, source_.substr(position_, *end - position_));
      tokens_.back().number = ParseFloat(tokens_.back().text).value_or(0);
      MoveTo(*end);
      return {};
    }
    const size_t end = MatchInteger();
    Emit(TokenKind::kInteger, source_.substr(position_, end - position_));
    auto value = ParseInt(tokens_.back().text, 0);
    if (!value) return FailAt(line_, value.error().code, value.error().message);
    tokens_.back().integer = value->value_or(0);
    MoveTo(end);
    return {};
  }

  Status LexName() {
    size_t end = position_;
    while (end < source_.size()) {
      const CodePoint c = DecodeAt(source_, end);
      if (!IsIdentifierPart(c.value) && !IsWord(c.value)) break;
      end += c.bytes;
    }
    const std::string_view name = source_.substr(position_, end - position_);
    bool valid = IsIdentifierStart(DecodeAt(name, 0).value);
    for (size_t i = 0; i < name.size(); i += DecodeAt(name, i).bytes) {
      valid = valid && IsIdentifierPart(DecodeAt(name, i).value);
    }
    if (!valid) return FailAt(line_, "Invalid character in identifier");
    Emit(TokenKind::kName, name);
    MoveTo(end);
    return {};
  }

  Status LexString() {
    const char quote = source_[position_];
    size_t end = position_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return UnexpectedCharacter();
    auto decoded = DecodeStringLiteral(source_.substr(position_ + 1, end - position_ - 1));
    if (!decoded) return FailAt(line_, decoded.error().code, decoded.error().message);
    Emit(TokenKind::kString, *decoded);
    MoveTo(end + 1);
    return {};
  }

  Status UnexpectedCharacter() const {
    const CodePoint c = DecodeAt(source_, position_);
    return FailAt(line_, fmt::format("unexpected char '{}' at {}", source_.substr(position_, c.bytes),
                                     CodePointCount(source_.substr(0, position_))));
  }

  Status LexOperator() {
    static constexpr std::string_view kLong[] = {"**", "//", "==", "!=", ">=", "<="};
    static constexpr std::string_view kShort = "+-/*%~[](){}><=.:|,;";
    for (const std::string_view symbol : kLong) {
      if (Starts(symbol)) {
        Emit(TokenKind::kOperator, symbol);
        MoveTo(position_ + 2);
        return {};
      }
    }
    const char c = source_[position_];
    if (kShort.find(c) == std::string_view::npos) return UnexpectedCharacter();
    KV_TRY(Balance(c));
    Emit(TokenKind::kOperator, source_.substr(position_, 1));
    MoveTo(position_ + 1);
    return {};
  }

  Status Balance(char c) {
    switch (c) {
      case '(': open_ += ')'; return {};
      case '[': open_ += ']'; return {};
      case '{': open_ += '}'; return {};
      case ')':
      case ']':
      case '}': break;
      default: return {};
    }
    if (open_.empty()) return FailAt(line_, fmt::format("unexpected '{}'", c));
    const char expected = open_.back();
    open_.pop_back();
    if (c != expected) return FailAt(line_, fmt::format("unexpected '{}', expected '{}'", c, expected));
    return {};
  }

  std::string text_;
  std::string_view source_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  ///< What was last passed ended with a newline, or nothing was passed yet.
  std::string open_;           ///< The closing brackets that are due.
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view source) {
  return Lexer(NormalizeSource(source)).Run();
}

std::string Describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData: return "template data / text";
    case TokenKind::kVariableBegin: return "begin of print statement";
    case TokenKind::kVariableEnd: return "end of print statement";
    case TokenKind::kBlockBegin: return "begin of statement block";
    case TokenKind::kBlockEnd: return "end of statement block";
    case TokenKind::kString: return "string";
    case TokenKind::kInteger: return "integer";
    case TokenKind::kFloat: return "float";
    case TokenKind::kName:
    case TokenKind::kOperator: return token.text;
    case TokenKind::kEnd: break;
  }
  return "end of template";
}

std::unexpected<Error> FailAt(int line, ErrorCode code, const std::string& cause) {
  return Fail(code, fmt::format("template line {}: {}", line, cause));
}

std::unexpected<Error> FailAt(int line, const std::string& cause) {
  return FailAt(line, ErrorCode::kInvalidArgument, cause);
}

}  // namespace kvasir::jinja
