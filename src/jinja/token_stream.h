// A cursor over tokens, with the tests and the error messages that parsing needs.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "jinja/lexer.h"
#include "kvasir/result.h"

namespace kvasir::jinja {

class TokenStream {
 public:
  /// `tokens` must end with kEnd and outlive the stream.
  explicit TokenStream(const std::vector<Token>& tokens) : tokens_(tokens) {}

  [[nodiscard]] const Token& current() const { return tokens_[position_]; }
  [[nodiscard]] const Token& peek() const {
    return tokens_[position_ + 1 < tokens_.size() ? position_ + 1 : position_];
  }
  [[nodiscard]] int line() const { return current().line; }

  [[nodiscard]] bool Is(TokenKind kind) const { return current().kind == kind; }
  [[nodiscard]] bool IsOp(std::string_view symbol) const { return Matches(current(), TokenKind::kOperator, symbol); }
  [[nodiscard]] bool IsName(std::string_view name) const { return Matches(current(), TokenKind::kName, name); }
  [[nodiscard]] bool NextIsOp(std::string_view symbol) const { return Matches(peek(), TokenKind::kOperator, symbol); }
  [[nodiscard]] bool NextIsName(std::string_view name) const { return Matches(peek(), TokenKind::kName, name); }

  /// The current token, which is then passed. At the end it stays.
  const Token& Take() {
    const Token& token = current();
    if (position_ + 1 < tokens_.size()) ++position_;
    return token;
  }
  bool TakeOp(std::string_view symbol) { return IsOp(symbol) && (Take(), true); }
  bool TakeName(std::string_view name) { return IsName(name) && (Take(), true); }

  Status ExpectOp(std::string_view symbol) { return TakeOp(symbol) ? Status() : Unexpected(symbol); }
  Status ExpectName(std::string_view name) { return TakeName(name) ? Status() : Unexpected(name); }
  Status Expect(TokenKind kind) {
    if (!Is(kind)) return Unexpected(Describe({kind, 0, "name", 0, 0}));
    Take();
    return {};
  }

  [[nodiscard]] std::unexpected<Error> Unexpected(std::string_view expected) const {
    if (Is(TokenKind::kEnd)) return FailAt(line(), fmt::format("unexpected end of template, expected '{}'.", expected));
    return FailAt(line(), fmt::format("expected token '{}', got '{}'", expected, Describe(current())));
  }

 private:
  static bool Matches(const Token& token, TokenKind kind, std::string_view text) {
    return token.kind == kind && token.text == text;
  }

  const std::vector<Token>& tokens_;
  size_t position_ = 0;
};

}  // namespace kvasir::jinja
