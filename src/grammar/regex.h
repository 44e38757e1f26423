// Regular expressions, in the part of JavaScript's (ECMA-262) syntax that describes a regular language.
#pragma once

#include <string_view>

#include "grammar/dfa.h"
#include "grammar/expression.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

enum class RegexMatch {
  kWhole,   ///< The expression matches the whole text.
  kSearch,  ///< It matches some part of the text, as JSON Schema's `pattern`.
};

/// The texts that `pattern` matches; all of them are valid UTF-8. Errors: kInvalidArgument with the place (in bytes),
/// kUnsupported for what no automaton can do (back references, look-around, word boundaries), kResourceExhausted for
/// expressions that need too many states.
[[nodiscard]] Result<Dfa> RegexDfa(std::string_view pattern, RegexMatch match);

}  // namespace kvasir::grammar
