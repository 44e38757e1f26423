// When two alternatives of a oneOf cannot both hold.
#pragma once

#include "grammar/schema_shape.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// True where no value satisfies both lists, and that is plain to see: other types, other constants, strings or numbers
/// that do not meet, or a member that both require and that is disjoint in turn, or that one requires and the other
/// forbids. False says nothing. Errors: as SchemaDocument::Flatten and ReadShape.
[[nodiscard]] Result<bool> AreDisjoint(const SchemaDocument& document, const SchemaList& a, const SchemaList& b);

}  // namespace kvasir::grammar
