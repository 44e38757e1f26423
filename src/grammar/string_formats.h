// The values of JSON Schema's `format`, as automata over the decoded string.
#pragma once

#include <string>
#include <string_view>

#include "grammar/dfa.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// Strings of the format `name`. Every one of them is valid; of "email" and "uri" only usual ones occur. Errors:
/// kUnsupported for an unknown name, with the known ones.
[[nodiscard]] Result<Dfa> FormatDfa(std::string_view name);

}  // namespace kvasir::grammar
