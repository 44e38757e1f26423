// libFuzzer target: any bytes as a chat template.
//
// The input is the template; what follows a line "---" is JSON and becomes its variables. Without it the template sees
// a small conversation. The limits are low, so that an input which would run for ever ends soon and memory stays small.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "jinja/chat.h"
#include "jinja/template.h"

namespace {

using Json = nlohmann::ordered_json;
using kvasir::jinja::ApplyChatTemplate;
using kvasir::jinja::ChatRequest;
using kvasir::jinja::CivilTime;
using kvasir::jinja::RenderOptions;
using kvasir::jinja::Template;

constexpr std::string_view kSeparator = "\n---\n";

constexpr std::string_view kConversation = R"({
  "messages": [
    {"role": "system", "content": "S \u00e9"},
    {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image"}]},
    {"role": "assistant", "content": null,
     "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": [1, 2.5, true, null]}}}]},
    {"role": "tool", "content": "<r>"},
    {"role": "user", "content": "Bye"}],
  "tools": [{"type": "function", "function": {"name": "f", "description": "", "parameters":
    {"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"]}}}],
  "documents": null})";

RenderOptions LowLimits() {
  RenderOptions options;
  options.limits.max_steps = 100'000;
  options.limits.max_output_bytes = 1 << 20;
  options.limits.max_value_bytes = 1 << 20;
  options.limits.max_live_bytes = 32 << 20;
  options.limits.max_total_bytes = 256 << 20;
  options.now = CivilTime{2024, 7, 26, 13, 5, 9};
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const RenderOptions options = LowLimits();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t separator = input.find(kSeparator);
  const auto parsed = Template::Parse(input.substr(0, separator));
  if (!parsed) return 0;
  Json request = Json::parse(kConversation);
  if (separator != std::string_view::npos) {
    Json given = Json::parse(input.substr(separator + kSeparator.size()), nullptr, /*allow_exceptions=*/false);
    if (given.is_object()) {
      (void)parsed->Render(given, options);
      return 0;
    }
  }
  ChatRequest chat;
  chat.messages = request["messages"];
  chat.tools = request["tools"];
  chat.add_generation_prompt = true;
  (void)ApplyChatTemplate(*parsed, chat, "<s>", "</s>", options);
  return 0;
}
