// Mistral's first formats (v2 to v7, Nemo among them). Call ids have nine letters and digits.
//
//   [TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}]
#include "server/tools/formats.h"
#include "server/tools/json_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeMistralFormat() {
  return JsonCalls({.name = "mistral", .signs = {"[TOOL_CALLS]"}, .open = "[TOOL_CALLS]", .close = "", .list = true});
}

}  // namespace kvasir::server
