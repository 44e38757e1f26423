#include "server/tools/template_traits.h"

#include <string>
#include <string_view>

#include "server/json.h"

namespace kvasir::server {
namespace {

// Words that no template writes by itself.
constexpr const char* kSystem = "kvasir-probe-system";
constexpr const char* kUser = "kvasir-probe-user";
constexpr const char* kTool = "kvasir_probe_tool";
constexpr const char* kFunction = "kvasir_probe_call";
constexpr const char* kSecond = "kvasir_probe_second";
constexpr const char* kMember = "kvasir_probe_member";
constexpr const char* kValue = "kvasir-probe-value";
constexpr const char* kResult = "kvasir-probe-result";

// Empty where the template refuses.
std::string Render(const ChatTemplate& chat_template, Json messages, Json tools = nullptr) {
  const Json request = {
      {"messages", std::move(messages)}, {"tools", std::move(tools)}, {"add_generation_prompt", true}};
  return chat_template.Apply(DumpJson(request)).value_or("");
}

Json Message(const char* role, const char* content) {
  return {{"role", role}, {"content", content}};
}

Json ProbeTools() {
  const Json parameters = {{"type", "object"},
                           {"properties", {{kMember, {{"type", "string"}, {"description", "a text"}}}}},
                           {"required", Json::array({kMember})}};
  return Json::array(
      {{{"type", "function"},
        {"function", {{"name", kTool}, {"description", "looks at templates"}, {"parameters", parameters}}}}});
}

// A question, an answer that calls a function, with `second` another one as well, and the result.
Json CallMessages(const TemplateTraits& shape, bool second = false) {
  const char* id = shape.short_ids ? "abcdef123" : "call_0123456789abcdef01234567";
  Json arguments = {{kMember, kValue}};
  if (shape.arguments_as_text) arguments = DumpJson(arguments);
  const auto call = [&](const char* name) -> Json {
    return {{"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", arguments}}}};
  };
  Json calls = Json::array({call(kFunction)});
  if (second) calls.push_back(call(kSecond));
  const Json content = shape.content_is_null ? Json(nullptr) : Json("");
  Json result = Message("tool", kResult);
  result["tool_call_id"] = id;
  return Json::array({Message("user", kUser),
                      {{"role", "assistant"}, {"content", content}, {"tool_calls", std::move(calls)}},
                      std::move(result)});
}

// Whether the call appears as what it is: a text that is given where an object belongs appears with escaped quotes.
bool ShowsCall(std::string_view text) {
  return text.contains(kFunction) && text.contains(kMember) && text.contains(kValue) &&
         !text.contains(std::string("\\\"") + kMember);
}

void ProbeCalls(const ChatTemplate& chat_template, TemplateTraits& traits) {
  for (const bool short_ids : {false, true}) {
    for (const bool as_text : {false, true}) {
      for (const bool null_content : {false, true}) {
        TemplateTraits shape = traits;
        shape.short_ids = short_ids;
        shape.arguments_as_text = as_text;
        shape.content_is_null = null_content;
        const std::string text = Render(chat_template, CallMessages(shape), ProbeTools());
        if (!ShowsCall(text)) continue;
        traits = shape;
        traits.calls = true;
        traits.results = text.contains(kResult);
        traits.one_call = !Render(chat_template, CallMessages(shape, true), ProbeTools()).contains(kSecond);
        return;
      }
    }
  }
  // The calls are then written into the text, and the results may still have a role of their own.
  const Json messages = Json::array({Message("user", kUser), Message("assistant", "a call"), Message("tool", kResult)});
  traits.results = Render(chat_template, messages, ProbeTools()).contains(kResult);
}

}  // namespace

TemplateTraits ProbeTemplate(const ChatTemplate& chat_template) {
  TemplateTraits traits;
  traits.system =
      Render(chat_template, Json::array({Message("system", kSystem), Message("user", kUser)})).contains(kSystem);
  traits.tools = Render(chat_template, Json::array({Message("user", kUser)}), ProbeTools()).contains(kTool);
  const Json question = Json::array({Message("user", kUser)});
  traits.empty_list =
      Render(chat_template, question).empty() && !Render(chat_template, question, Json::array()).empty();
  traits.thinking = chat_template.source().contains("message.thinking");
  ProbeCalls(chat_template, traits);
  return traits;
}

}  // namespace kvasir::server
