// Qwen 3 Coder:
//
//   <tool_call>
//   <function=get_weather>
//   <parameter=city>
//   Paris
//   </parameter>
//   </function>
//   </tool_call>
#include "server/tools/formats.h"
#include "server/tools/tagged_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeQwen3CoderFormat() {
  return TaggedCalls({.name = "qwen3-coder",
                      .signs = {"<tool_call>", "<function="},
                      .open = "<tool_call>",
                      .close = "</tool_call>",
                      .function_open = "<function=",
                      .function_name_end = ">\n",
                      .function_close = "</function>",
                      .parameter_open = "<parameter=",
                      .parameter_name_end = ">",
                      .parameter_close = "</parameter>",
                      .values_own_lines = true});
}

}  // namespace kvasir::server
