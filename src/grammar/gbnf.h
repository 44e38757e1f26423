// GBNF, the notation for grammars that llama.cpp made popular.
#pragma once

#include <string_view>

#include "grammar/expression.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// The grammar `text`, beginning with its rule `root`. Read are rules `name ::= alternatives`, "literals", [character
/// classes], `.`, (groups), the repeats * + ? {m} {m,} {m,n}, special tokens as <name>, and # comments. Errors:
/// kInvalidArgument with line and column, for rules that are used but not defined, defined twice, or no root;
/// kUnsupported for tokens by number or negated.
[[nodiscard]] Result<Expr> ParseGbnf(std::string_view text);

}  // namespace kvasir::grammar
