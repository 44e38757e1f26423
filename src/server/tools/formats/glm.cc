// GLM 4.5 and 4.6:
//
//   <tool_call>get_weather
//   <arg_key>city</arg_key>
//   <arg_value>Paris</arg_value>
//   </tool_call>
#include "server/tools/formats.h"
#include "server/tools/tagged_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeGlmFormat() {
  return TaggedCalls({.name = "glm",
                      .signs = {"<tool_call>", "<arg_key>"},
                      .open = "<tool_call>",
                      .close = "</tool_call>",
                      .function_name_end = "\n",
                      .parameter_open = "<arg_key>",
                      .parameter_name_end = "</arg_key> <arg_value>",
                      .parameter_close = "</arg_value>"});
}

}  // namespace kvasir::server
