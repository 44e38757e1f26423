// Mistral's later formats (v11 on: Devstral, Magistral, Small 3.2):
//
//   [TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}
#include "server/tools/formats.h"
#include "server/tools/named_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeMistralNamedFormat() {
  return NamedCalls(
      {.name = "mistral-named", .signs = {"[TOOL_CALLS]", "[ARGS]"}, .open = "[TOOL_CALLS]", .name_end = "[ARGS]"});
}

}  // namespace kvasir::server
