// Liquid's LFM2, with calls as Python has them. Its template leaves out the calls of earlier answers.
//
//   <|tool_call_start|>[get_weather(city="Paris")]<|tool_call_end|>
#include "server/tools/formats.h"
#include "server/tools/python_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeLfm2Format() {
  return PythonCalls(
      {.name = "lfm2", .signs = {"<|tool_list_start|>"}, .open = "<|tool_call_start|>", .close = "<|tool_call_end|>"});
}

}  // namespace kvasir::server
