// The public grammar's inside.
#pragma once

#include <optional>
#include <string>

#include "grammar/expression.h"
#include "kvasir/grammar.h"

namespace kvasir {

struct Grammar::Impl {
  grammar::Expr expr;
  /// Equal keys mean equal grammars: how it was made, with the lengths of its parts, so that none can look like
  /// another.
  std::string key;
  std::optional<Error> error;  ///< Reported when the grammar is used.
};

}  // namespace kvasir
