#include "server/responses_input.h"

#include <fmt/format.h>

#include <utility>

#include "server/chat_prompt.h"

namespace kvasir::server {
namespace {

// What every item has and nothing here depends on.
void ReadItemNames(Fields& item) {
  for (const char* name : {"type", "id", "status"}) (void)item.Text(name);
}

// Calls belong to the answer before them, as in a chat.
void ReadCall(const Json& value, const std::string& path, Fields& fields, Json& messages) {
  Fields item(value, path);
  ReadItemNames(item);
  const std::string id = item.Text("call_id").value_or("");
  const std::string name = item.Text("name").value_or("");
  if (id.empty()) item.Problem("call_id", "is missing");
  if (name.empty()) item.Problem("name", "is missing");
  const Json call = {
      {"type", "function"},
      {"id", id},
      {"function", {{"name", name}, {"arguments", CallArguments(item.Text("arguments").value_or("{}"))}}}};
  item.FinishInto(fields);
  if (messages.empty() || messages.back()["role"] != "assistant") {
    messages.push_back({{"role", "assistant"}, {"content", nullptr}});
  }
  messages.back()["tool_calls"].push_back(call);
}

void ReadOutput(const Json& value, const std::string& path, Fields& fields, Json& messages) {
  Fields item(value, path);
  ReadItemNames(item);
  const std::string id = item.Text("call_id").value_or("");
  if (id.empty()) item.Problem("call_id", "is missing");
  Json content = ReadContent(item, "output", path);
  if (content.is_null()) item.Problem("output", "is missing");
  item.FinishInto(fields);
  messages.push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", std::move(content)}});
}

// What the model thought before the next item, as an earlier response had it.
std::string ReadReasoning(const Json& value, const std::string& path, Fields& fields) {
  Fields item(value, path);
  ReadItemNames(item);
  (void)item.Array("summary");
  if (item.Text("encrypted_content")) item.Problem("encrypted_content", "cannot be read: it is another server's");
  std::string thoughts;
  if (const Json* content = item.Array("content")) {
    for (size_t i = 0; i < content->size() && item.ok(); ++i) {
      Fields part((*content)[i], fmt::format("{}.content[{}]", path, i));
      if (part.Text("type").value_or("") != "reasoning_text") part.Problem("type", "must be \"reasoning_text\"");
      thoughts += part.Text("text").value_or("");
      part.FinishInto(item);
    }
  }
  item.FinishInto(fields);
  return thoughts;
}

// Gives `thoughts` to the answer that the last message is, or has become part of. One that was cut off before it said
// anything is nothing but its thoughts.
void AddThoughts(std::string& thoughts, Json& messages) {
  if (thoughts.empty()) return;
  if (messages.empty() || messages.back()["role"] != "assistant") {
    const Json answer = {{"role", "assistant"}, {"content", ""}, {"reasoning_content", std::exchange(thoughts, "")}};
    messages.insert(messages.empty() ? messages.end() : messages.end() - 1, answer);
    return;
  }
  Json& known = messages.back()["reasoning_content"];
  known = (known.is_string() ? known.get<std::string>() : "") + std::exchange(thoughts, "");
}

}  // namespace

Json ReadResponseInput(Fields& fields, Json& instructions) {
  Json conversation = {{"messages", Json::array()}, {"add_generation_prompt", true}};
  Json& messages = conversation["messages"];
  if (const auto text = fields.Text("instructions")) {
    instructions = *text;
    messages.push_back({{"role", "system"}, {"content", *text}});
  }
  const Json* input = fields.Any("input");
  if (input != nullptr && input->is_string()) {
    messages.push_back({{"role", "user"}, {"content", *input}});
    return conversation;
  }
  if (!CheckMessageCount(fields, "input")) return conversation;
  std::string thoughts;
  for (size_t i = 0; i < input->size() && fields.ok(); ++i) {
    const Json& item = (*input)[i];
    const std::string path = fmt::format("input[{}]", i);
    const Json type = item.is_object() ? item.value("type", Json()) : Json();
    if (type == "reasoning") {
      thoughts += ReadReasoning(item, path, fields);
      continue;
    }
    if (type == "function_call") {
      ReadCall(item, path, fields, messages);
    } else if (type == "function_call_output") {
      ReadOutput(item, path, fields, messages);
    } else {
      messages.push_back(ReadMessage(item, path, fields));
    }
    AddThoughts(thoughts, messages);
  }
  if (!thoughts.empty()) {
    messages.push_back({{"role", "assistant"}, {"content", ""}, {"reasoning_content", std::move(thoughts)}});
  }
  return conversation;
}

}  // namespace kvasir::server
