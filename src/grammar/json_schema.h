// JSON Schema (draft 2020-12) to expressions.
#pragma once

#include <string_view>

#include "grammar/expression.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// The documents of a schema, in the spelling of json_text.h, members in the schema's order. Every text of the result
/// is a valid document; not every valid document is in it (docs/structured-output.md lists what is left out). Errors
/// name the JSON pointer: kUnsupported for keywords and combinations we cannot keep exactly, kInvalidArgument for a
/// schema that is wrong or that nothing satisfies, kResourceExhausted beyond the limits.
[[nodiscard]] Result<Expr> ParseJsonSchema(std::string_view schema);

}  // namespace kvasir::grammar
