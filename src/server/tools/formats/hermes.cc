// Hermes 2 and 3, Qwen 2.5 and 3, and others that were trained in their way:
//
//   <tool_call>
//   {"name": "get_weather", "arguments": {"city": "Paris"}}
//   </tool_call>
#include "server/tools/formats.h"
#include "server/tools/json_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeHermesFormat() {
  return JsonCalls({.name = "hermes", .signs = {"<tool_call>"}, .open = "<tool_call>\n", .close = "\n</tool_call>"});
}

}  // namespace kvasir::server
