// Cohere's Command R7B:
//
//   <|START_ACTION|>[
//       {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris"}}
//   ]<|END_ACTION|>
#include "server/tools/formats.h"
#include "server/tools/json_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeCommandRFormat() {
  return JsonCalls({.name = "command-r",
                    .signs = {"<|START_ACTION|>", "\"tool_name\""},
                    .open = "<|START_ACTION|>",
                    .close = "<|END_ACTION|>",
                    .list = true,
                    .name_member = "tool_name",
                    .arguments_member = "parameters"});
}

}  // namespace kvasir::server
