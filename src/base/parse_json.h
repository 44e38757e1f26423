// JSON from outside, and what is wrong with a text that is none.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::base {

/// Where and why a parser of nlohmann's gave up: "line 3, column 9: a comma stands before '}', but JSON allows none
/// after the last member". `position` and `reason` are the first and the last argument of json_sax::parse_error: the
/// number of bytes read so far, the one that cannot be among them, and what() of the exception. Columns count bytes
/// from 1.
[[nodiscard]] std::string ExplainBadJson(std::string_view text, size_t position, std::string_view reason);

/// The same of a `text` that nlohmann's parser refuses; "" where it does not.
[[nodiscard]] std::string WhyNoJson(std::string_view text);

/// Parses `text` as one JSON value. The error is `code` with the message WhyNoJson gives; whoever calls names the text.
template <typename Json>
[[nodiscard]] Result<Json> ParseJson(std::string_view text, ErrorCode code = ErrorCode::kInvalidArgument) {
  Json value = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  // Nearly every text is good, so a bad one may be read twice.
  if (value.is_discarded()) return Fail(code, WhyNoJson(text));
  return value;
}

}  // namespace kvasir::base
