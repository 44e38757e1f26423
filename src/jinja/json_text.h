// Values from JSON, and JSON from Values as Python's json.dumps writes it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// A JSON document as a Value, with the integers of any length that ParseRequestText keeps; invalid UTF-8 becomes
/// U+FFFD. Errors: kInvalidArgument for other binary data, kResourceExhausted when it nests too deeply.
[[nodiscard]] Result<Value> FromJson(Runtime& runtime, const nlohmann::ordered_json& json);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool pretty = false;  ///< a line per item
  std::string indent;   ///< of one level, when pretty
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// json.dumps(value). Errors: "Object of type Undefined is not JSON serializable", and a key of another type.
[[nodiscard]] Result<std::string> ToJson(Runtime& runtime, const Value& value, const JsonStyle& style);

}  // namespace kvasir::jinja
