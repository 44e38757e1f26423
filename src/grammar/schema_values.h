// Which strings and numbers a shape allows, and of which type a value is.
#pragma once

#include <cstdint>

#include "grammar/dfa.h"
#include "grammar/json_number.h"
#include "grammar/json_text.h"
#include "grammar/schema_shape.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// The content of strings that satisfy length, pattern and format together. Errors name the pointer of a pattern or a
/// format that cannot be used.
[[nodiscard]] Result<Dfa> StringsOf(const Shape& shape);

[[nodiscard]] uint32_t TypeOf(const Json& value);  ///< A JsonType.

/// Whether a value of enum or const is in the range, compared as doubles.
[[nodiscard]] bool InRange(double value, const NumberRange& range);

}  // namespace kvasir::grammar
