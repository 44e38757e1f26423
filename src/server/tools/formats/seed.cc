// ByteDance's Seed OSS:
//
//   <seed:tool_call>
//   <function=get_weather>
//   <parameter=city>Paris</parameter>
//   </function>
//   </seed:tool_call>
#include "server/tools/formats.h"
#include "server/tools/tagged_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeSeedFormat() {
  return TaggedCalls({.name = "seed",
                      .signs = {"<seed:tool_call>"},
                      .open = "<seed:tool_call>",
                      .close = "</seed:tool_call>",
                      .function_open = "<function=",
                      .function_name_end = ">\n",
                      .function_close = "</function>",
                      .parameter_open = "<parameter=",
                      .parameter_name_end = ">",
                      .parameter_close = "</parameter>"});
}

}  // namespace kvasir::server
