// Literals of Python, in which some models write the arguments of calls.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/json.h"

namespace kvasir::server {

/// A literal as JSON: numbers, texts, True, False, None, lists, tuples, dictionaries with texts as keys; true, false
/// and null too. Nothing for anything else, or for what is nested deeper than 32 levels.
[[nodiscard]] std::optional<Json> ReadPythonLiteral(std::string_view text);

/// The inverse.
[[nodiscard]] std::string WritePythonLiteral(const Json& value);

}  // namespace kvasir::server
