// The JSON of requests and answers, and the limits within which a request's text is parsed.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::server {

/// Members keep the order in which they were written.
using Json = nlohmann::ordered_json;

/// What a request body may be at most.
struct JsonLimits {
  int max_depth = 64;             ///< Objects and arrays inside each other.
  size_t max_values = 1'000'000;  ///< Values and member names in all.
  size_t max_members = 1024;      ///< Of one object; they are kept in a list, which is searched for each.
};

/// Parses `text` as one JSON value. Errors (kInvalidArgument): bad syntax with its place, text that is not UTF-8, lone
/// surrogates, numbers beyond a double, a member that is named twice, more than `limits` allow. Memory and stack are
/// bounded by the limits, not by the text's nesting.
[[nodiscard]] Result<Json> ParseJson(std::string_view text, const JsonLimits& limits = {});

/// `value` as text, on one line. Text that is not UTF-8 gets replacement characters.
[[nodiscard]] std::string DumpJson(const Json& value);

}  // namespace kvasir::server
