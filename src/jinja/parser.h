// Tokens to a syntax tree.
#pragma once

#include <vector>

#include "jinja/ast.h"
#include "jinja/lexer.h"

namespace kvasir::jinja {

/// Limits that keep every walk over the tree within the stack. Python's own compiler stops at about the same.
inline constexpr int kMaxExpressionHeight = 200;
inline constexpr int kMaxStatementNesting = 100;

/// Parses a whole template; its variables are not resolved yet (see resolver.h).
/// Errors: kInvalidArgument "template line 3: ...", kResourceExhausted when it nests too deeply.
[[nodiscard]] Result<Program> ParseProgram(const std::vector<Token>& tokens);

}  // namespace kvasir::jinja
