// Calls in which every argument stands between tags, as plain text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/tools/call_format.h"

namespace kvasir::server {

struct TaggedCallStyle {
  std::string name;
  std::vector<std::string> signs;
  std::string open;                ///< Before a call, or before all of them.
  std::string close;               ///< After it.
  std::string function_open;       ///< Before the function's name; may be empty.
  std::string function_name_end;   ///< Behind it.
  std::string function_close;      ///< After the arguments; may be empty.
  std::string parameter_open;      ///< Before an argument's name.
  std::string parameter_name_end;  ///< Behind it.
  std::string parameter_close;     ///< After its value.
  bool values_own_lines = false;   ///< A value stands on lines of its own.
  bool together = false;           ///< All calls stand between one `open` and one `close`.
};

[[nodiscard]] std::unique_ptr<CallFormat> TaggedCalls(TaggedCallStyle style);

/// An argument given as plain text, as JSON: what the parameter's schema says it is; a text where it says nothing and
/// the text is no JSON.
[[nodiscard]] std::string ArgumentJson(const std::string& text, const Json& schema);

}  // namespace kvasir::server
