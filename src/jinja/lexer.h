// Template source to tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::jinja {

enum class TokenKind : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 1;
  std::string text;  ///< data, name, decoded string or operator
  int64_t integer = 0;
  double number = 0;
};

/// Cuts `source` into tokens, the last one being kEnd. Whitespace control (-, +, trim_blocks, lstrip_blocks), comments
/// and raw blocks are resolved here. `source` must be valid UTF-8.
/// Errors: kInvalidArgument "template line 3: ...".
[[nodiscard]] Result<std::vector<Token>> Tokenize(std::string_view source);

/// The token as error messages name it.
[[nodiscard]] std::string Describe(const Token& token);

/// An error of the template at `line`.
[[nodiscard]] std::unexpected<Error> FailAt(int line, ErrorCode code, const std::string& cause);
[[nodiscard]] std::unexpected<Error> FailAt(int line, const std::string& cause);

}  // namespace kvasir::jinja
