// str() and repr() of Values.
#pragma once

#include <string>
#include <string_view>

#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// Appends what printing `value` shows. Errors: too large for the budget.
[[nodiscard]] Status AppendStr(Runtime& runtime, const Value& value, std::string& out);
/// Appends repr(value), as containers show what they hold.
[[nodiscard]] Status AppendRepr(Runtime& runtime, const Value& value, std::string& out);
[[nodiscard]] Result<std::string> ToStr(Runtime& runtime, const Value& value);
[[nodiscard]] Result<std::string> ToRepr(Runtime& runtime, const Value& value);

/// repr() of a string: quoted, with everything that is not printable escaped (and not ASCII, when `ascii`).
void AppendQuoted(std::string_view text, std::string& out, bool ascii = false);

}  // namespace kvasir::jinja
