// Calls as a name, a separator, and the arguments as a JSON object, between markers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/tools/call_format.h"

namespace kvasir::server {

struct NamedCallStyle {
  std::string name;
  std::vector<std::string> signs;
  std::string section_open;   ///< Before all calls; may be empty.
  std::string section_close;  ///< After them.
  std::string open;           ///< Before a call.
  std::string name_prefix;    ///< What stands there before the function's name.
  std::string name_suffix;    ///< What is written behind it; when read, anything short may stand there.
  std::string name_end;       ///< Between name and arguments.
  std::string close;          ///< After a call; may be empty.
  std::string separator;      ///< Between calls.
};

[[nodiscard]] std::unique_ptr<CallFormat> NamedCalls(NamedCallStyle style);

}  // namespace kvasir::server
