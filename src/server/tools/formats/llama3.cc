// Llama 3.1 and 3.2. The whole answer is the call, with or without the token that announces Python:
//
//   {"name": "get_weather", "parameters": {"city": "Paris"}}
#include "server/tools/formats.h"
#include "server/tools/json_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeLlama3Format() {
  return JsonCalls({.name = "llama-3",
                    .signs = {"<|start_header_id|>", "\"parameters\""},
                    .open = "",
                    .close = "",
                    .also_open = {"<|python_tag|>"},
                    .separator = "; ",
                    .arguments_member = "parameters"});
}

}  // namespace kvasir::server
