// IBM's Granite 3:
//
//   <|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]
#include "server/tools/formats.h"
#include "server/tools/json_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeGraniteFormat() {
  return JsonCalls({.name = "granite", .signs = {"<|tool_call|>"}, .open = "<|tool_call|>", .close = "", .list = true});
}

}  // namespace kvasir::server
