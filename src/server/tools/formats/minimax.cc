// MiniMax M2:
//
//   <minimax:tool_call>
//   <invoke name="get_weather">
//   <parameter name="city">Paris</parameter>
//   </invoke>
//   </minimax:tool_call>
#include "server/tools/formats.h"
#include "server/tools/tagged_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeMiniMaxFormat() {
  return TaggedCalls({.name = "minimax",
                      .signs = {"<minimax:tool_call>"},
                      .open = "<minimax:tool_call>",
                      .close = "</minimax:tool_call>",
                      .function_open = "<invoke name=\"",
                      .function_name_end = "\">\n",
                      .function_close = "</invoke>",
                      .parameter_open = "<parameter name=\"",
                      .parameter_name_end = "\">",
                      .parameter_close = "</parameter>",
                      .together = true});
}

}  // namespace kvasir::server
