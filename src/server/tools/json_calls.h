// Calls as JSON: an object with the function's name and its arguments, between markers or in a list.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/tools/call_format.h"

namespace kvasir::server {

struct JsonCallStyle {
  std::string name;
  std::vector<std::string> signs;
  std::string open;                    ///< Before a call, or before the list. Empty: the answer begins with the call.
  std::string close;                   ///< After it; may be empty.
  std::vector<std::string> also_open;  ///< Other markers that may stand before a call.
  bool list = false;                   ///< [{...}, {...}]
  std::string separator = "\n";        ///< Between calls that are no list.
  std::string name_member = "name";    ///< Empty: the name is the only member, and the arguments are its value.
  std::string arguments_member = "arguments";
};

[[nodiscard]] std::unique_ptr<CallFormat> JsonCalls(JsonCallStyle style);

}  // namespace kvasir::server
