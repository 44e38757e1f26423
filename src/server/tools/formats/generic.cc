// Models whose template knows nothing of tools. The words are those of Hermes, which many models have seen in training:
// the tools are described in the system message (tool_prompt.cc), and a call is
//
//   <tool_call>
//   {"name": "get_weather", "arguments": {"city": "Paris"}}
//   </tool_call>
#include "server/tools/formats.h"
#include "server/tools/json_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeGenericFormat() {
  return JsonCalls({.name = "generic", .signs = {}, .open = "<tool_call>\n", .close = "\n</tool_call>"});
}

}  // namespace kvasir::server
