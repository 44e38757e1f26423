// The inside of a quoted string in a template.
#pragma once

#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::jinja {

/// Resolves the backslash escapes of `literal` (without its quotes) as Python does; an unknown escape stays as it is.
/// Errors: kInvalidArgument for a truncated escape, kUnsupported for \N{...} and for surrogates.
[[nodiscard]] Result<std::string> DecodeStringLiteral(std::string_view literal);

}  // namespace kvasir::jinja
