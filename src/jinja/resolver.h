// Gives every variable of a program its frame and slot.
#pragma once

#include "jinja/ast.h"
#include "kvasir/result.h"

namespace kvasir::jinja {

/// Completes `program` in place. Errors: kInvalidArgument "template line 3: No filter named 'x'." and the like.
[[nodiscard]] Status ResolveNames(Program& program);

}  // namespace kvasir::jinja
