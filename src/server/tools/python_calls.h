// Calls as a list of Python function calls: [f(a="x", b=1), g()].
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/tools/call_format.h"

namespace kvasir::server {

struct PythonCallStyle {
  std::string name;
  std::vector<std::string> signs;
  std::string open;   ///< Before the list.
  std::string close;  ///< After it.
};

[[nodiscard]] std::unique_ptr<CallFormat> PythonCalls(PythonCallStyle style);

}  // namespace kvasir::server
