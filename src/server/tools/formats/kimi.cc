// Kimi K2. The number behind the name counts the calls of the conversation.
//
//   <|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>
//   {"city": "Paris"}<|tool_call_end|><|tool_calls_section_end|>
#include "server/tools/formats.h"
#include "server/tools/named_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeKimiFormat() {
  return NamedCalls({.name = "kimi",
                     .signs = {"<|tool_calls_section_begin|>"},
                     .section_open = "<|tool_calls_section_begin|>",
                     .section_close = "<|tool_calls_section_end|>",
                     .open = "<|tool_call_begin|>",
                     .name_prefix = "functions.",
                     .name_suffix = ":0",
                     .name_end = "<|tool_call_argument_begin|>",
                     .close = "<|tool_call_end|>"});
}

}  // namespace kvasir::server
