// The text of a chat request, read as Python's json.loads reads it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::jinja {

/// nlohmann's JSON has no integer beyond 64 bits and makes a float of it, which has lost digits. ParseRequestText keeps
/// the digits: as binary data of this subtype, which no JSON text holds otherwise. FromJson makes a number of it again.
inline constexpr unsigned char kBigIntegerSubtype = 'i';

/// Parses one JSON value; a member that is named twice has its last value. Errors (kInvalidArgument) name line and
/// column of what is no JSON; kResourceExhausted for more than kMaxValueDepth levels, so that no later walk over the
/// value can overflow the stack.
[[nodiscard]] Result<nlohmann::ordered_json> ParseRequestText(std::string_view text);

}  // namespace kvasir::jinja
