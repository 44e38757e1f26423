// DeepSeek V3.1:
//
//   <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city":
//   "Paris"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>
#include "server/tools/formats.h"
#include "server/tools/named_calls.h"

namespace kvasir::server {

std::unique_ptr<CallFormat> MakeDeepSeekFormat() {
  return NamedCalls({.name = "deepseek",
                     .signs = {"<｜tool▁calls▁begin｜>"},
                     .section_open = "<｜tool▁calls▁begin｜>",
                     .section_close = "<｜tool▁calls▁end｜>",
                     .open = "<｜tool▁call▁begin｜>",
                     .name_end = "<｜tool▁sep｜>",
                     .close = "<｜tool▁call▁end｜>"});
}

}  // namespace kvasir::server
