// DeepSeek V3 and R1, with their distillations, which put the arguments into a block of code:
//
//   <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather
//   ```json
//   {"city": "Paris"}
//   ```<｜tool▁call▁end｜><｜tool▁calls▁end｜>
#include "server/tools/formats.h"
#include "server/tools/named_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeDeepSeekR1Format() {
  return NamedCalls({.name = "deepseek-r1",
                     .signs = {"<｜tool▁calls▁begin｜>", "```json"},
                     .section_open = "<｜tool▁calls▁begin｜>",
                     .section_close = "<｜tool▁calls▁end｜>",
                     .open = "<｜tool▁call▁begin｜>",
                     .name_prefix = "function<｜tool▁sep｜>",
                     .name_end = "\n```json\n",
                     .close = "\n```<｜tool▁call▁end｜>",
                     .separator = "\n"});
}

}  // namespace kvasir::server
