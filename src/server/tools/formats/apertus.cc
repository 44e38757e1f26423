// Apertus, where a call is an object with one member:
//
//   <|tools_prefix|>[{"get_weather": {"city": "Paris"}}]<|tools_suffix|>
#include "server/tools/formats.h"
#include "server/tools/json_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeApertusFormat() {
  return JsonCalls({.name = "apertus",
                    .signs = {"<|tools_prefix|>"},
                    .open = "<|tools_prefix|>",
                    .close = "<|tools_suffix|>",
                    .list = true,
                    .name_member = ""});
}

}  // namespace kvasir::server
