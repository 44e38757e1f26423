#include "server/chat_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kvasir::server {
namespace {

constexpr size_t kMostMessages = 10'000;

Json ReadToolCalls(const Json& calls, Fields& message, const std::string& path) {
  Json read = Json::array();
  for (size_t i = 0; i < calls.size(); ++i) {
    Fields call(calls[i], fmt::format("{}.tool_calls[{}]", path, i));
    Json out = {{"type", "function"}};
    if (const auto id = call.Text("id")) out["id"] = *id;
    if (const auto type = call.Text("type"); type && *type != "function") {
      call.Problem("type", "must be \"function\"");
    }
    (void)call.Integer("index", 0, INT32_MAX);
    if (const Json* function = call.Object("function")) {
      Fields inner(*function, call.PathOf("function"));
      const std::string name = inner.Text("name").value_or("");
      if (name.empty()) inner.Problem("name", "is missing");
      const Json* arguments = inner.Any("arguments");
      out["function"] = {{"name", name},
                         {"arguments", arguments == nullptr ? Json::object() : CallArguments(*arguments)}};
      inner.FinishInto(call);
    } else {
      call.Problem("function", "is missing");
    }
    call.FinishInto(message);
    read.push_back(std::move(out));
  }
  return read;
}

// What an item of a response's input has, besides what a message of a chat has.
void ReadItem(Fields& message) {
  if (const auto type = message.Text("type"); type && *type != "message") {
    message.Problem("type", fmt::format("is {}, but it must be \"message\"", Shown(*type)));
  }
  (void)message.Text("id");
  (void)message.Text("status");
}

}  // namespace

Json CallArguments(const Json& given) {
  if (!given.is_string()) return given;
  auto parsed = ParseJson(given.get_ref<const std::string&>());
  if (!parsed || !parsed->is_object()) return given;
  return std::move(*parsed);
}

Json ReadContent(Fields& message, const char* member, const std::string& path) {
  const Json* content = message.Any(member);
  if (content == nullptr) return nullptr;
  if (content->is_string()) return *content;
  if (!content->is_array()) {
    message.Problem(member, fmt::format("is {}, but it must be a text or a list of parts", Shown(*content)));
    return nullptr;
  }
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    Fields part((*content)[i], fmt::format("{}.{}[{}]", path, member, i));
    const std::string type = part.Text("type").value_or("");
    if (part.ok() && type != "text" && type != "input_text" && type != "output_text") {
      part.Problem("type", fmt::format("is {}, but this model reads parts of type \"text\" only", Shown(type)));
    }
    const auto part_text = part.Text("text");
    if (!part_text) part.Problem("text", "is missing");
    text += part_text.value_or("");
    if (type == "output_text") {  // what an earlier answer had beside its text
      (void)part.Array("annotations");
      (void)part.Array("logprobs");
    }
    part.FinishInto(message);
  }
  return text;
}

Json ReadMessage(const Json& value, const std::string& path, Fields& request) {
  Fields message(value, path);
  if (path.starts_with("input")) ReadItem(message);
  std::string role = message.Text("role").value_or("");
  constexpr auto kRoles = std::to_array<std::string_view>({"system", "developer", "user", "assistant", "tool"});
  if (message.ok() && std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
    message.Problem("role", fmt::format("is {}, but it must be system, developer, user, assistant or tool",
                                        role.empty() ? "missing" : Shown(role)));
  }
  if (role == "developer") role = "system";
  Json out = {{"role", role}, {"content", ReadContent(message, "content", path)}};
  for (const char* name : {"name", "tool_call_id"}) {
    if (const auto text = message.Text(name)) out[name] = *text;
  }
  const auto reasoning = message.Text("reasoning_content");
  const auto reasoning_alias = message.Text("reasoning");
  if (reasoning || reasoning_alias) out["reasoning_content"] = reasoning ? *reasoning : *reasoning_alias;
  (void)message.Text("refusal");  // what an earlier answer of the API had beside its content; templates know neither
  if (const Json* annotations = message.Array("annotations"); annotations != nullptr && !annotations->empty()) {
    message.Problem("annotations", "must be empty");
  }
  if (const Json* calls = message.Array("tool_calls"); calls != nullptr && !calls->empty()) {
    out["tool_calls"] = ReadToolCalls(*calls, message, path);
  }
  if (message.ok() && out["content"].is_null() && !out.contains("tool_calls")) {
    message.Problem("content", "is missing");
  }
  message.FinishInto(request);
  return out;
}

bool CheckMessageCount(Fields& fields, const char* member) {
  const Json* messages = fields.Array(member);
  if (messages == nullptr || messages->empty()) {
    fields.Problem(member, "must be a list of at least one message");
    return false;
  }
  if (messages->size() <= kMostMessages) return true;
  fields.Problem(member, fmt::format("has {} items, but it may have {} at most", messages->size(), kMostMessages));
  return false;
}

Json ReadMessages(Fields& fields) {
  Json read = Json::array();
  if (!CheckMessageCount(fields, "messages")) return read;
  const Json& messages = *fields.Array("messages");
  for (size_t i = 0; i < messages.size() && fields.ok(); ++i) {
    read.push_back(ReadMessage(messages[i], fmt::format("messages[{}]", i), fields));
  }
  return read;
}

Json ReadConversation(Fields& fields) {
  Json conversation = {{"messages", ReadMessages(fields)}};
  conversation["add_generation_prompt"] = fields.Bool("add_generation_prompt").value_or(true);
  if (const Json* variables = fields.Object("chat_template_kwargs")) {
    for (const auto& [name, value] : variables->items()) {
      if (name == "messages" || name == "tools" || name == "add_generation_prompt") {
        fields.Problem("chat_template_kwargs." + name, "cannot be set here");
      }
    }
    conversation["chat_template_kwargs"] = *variables;
  }
  return conversation;
}

void ReadReasoningEffort(Fields& fields, const char* member, const Model& model, Json& conversation) {
  constexpr auto kEfforts = std::to_array<std::string_view>({"none", "minimal", "low", "medium", "high", "xhigh"});
  constexpr const char* kVariable = "reasoning_effort";
  const auto effort = fields.Text(member);
  if (!effort) return;
  if (std::find(kEfforts.begin(), kEfforts.end(), *effort) == kEfforts.end()) {
    fields.Problem(member,
                   fmt::format("is {}, but it must be none, minimal, low, medium, high or xhigh", Shown(*effort)));
  } else if (model.chat_template != nullptr && !model.chat_template->source().contains(kVariable)) {
    fields.Problem(member, "is not known to this model's template, which would ignore it; leave it out");
  } else if (conversation.contains("chat_template_kwargs") &&
             conversation["chat_template_kwargs"].contains(kVariable)) {
    fields.Problem(member, "says the same as chat_template_kwargs.reasoning_effort; give one of them");
  }
  conversation[kVariable] = *effort;
}

ApiResult<std::string> RenderConversation(const Model& model, Json conversation, const ToolOptions& tools) {
  if (model.chat_template == nullptr) return Refuse(400, model.chat_template_problem, "no_chat_template");
  const Json adapted = WithTools(std::move(conversation), tools, model.tools);
  Result<std::string> text = model.chat_template->Apply(DumpJson(adapted));
  if (text) return std::move(*text);
  ApiError error = Refuse(400, text.error().message, "chat_template_error").error();
  error.param = "messages";
  return std::unexpected(std::move(error));
}

std::vector<int32_t> EncodeRendered(const Tokenizer& tokenizer, std::string_view rendered) {
  std::vector<int32_t> tokens = tokenizer.Encode(rendered, {.add_special = false, .parse_special = true});
  if (tokenizer.adds_bos() && (tokens.empty() || tokens.front() != tokenizer.bos())) {
    tokens.insert(tokens.begin(), tokenizer.bos());
  }
  return tokens;
}

}  // namespace kvasir::server
