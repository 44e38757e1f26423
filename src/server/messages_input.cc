#include "server/messages_input.h"

#include <fmt/format.h>

#include <utility>

#include "server/chat_prompt.h"

namespace kvasir::server {
namespace {

void Finish(Fields& inner, Fields& outer) {
  inner.FinishInto(outer);
}

// What may stand in any block.
std::string ReadBlockType(Fields& block) {
  (void)block.Object("cache_control");  // what was computed is kept by itself
  const auto type = block.Text("type");
  if (!type) block.Problem("type", "is missing");
  return type.value_or("");
}

std::string ReadTextBlock(Fields& block) {
  const auto text = block.Text("text");
  if (!text) block.Problem("text", "is missing");
  if (const Json* citations = block.Array("citations"); citations != nullptr && !citations->empty()) {
    block.Problem("citations", "must be empty");
  }
  return text.value_or("");
}

void RefuseBlock(Fields& block, const std::string& type, const char* known) {
  if (block.ok()) {
    block.Problem("type", fmt::format("is {}, but this model reads blocks of type {} only", Shown(type), known));
  }
}

// A text, or a list of text blocks.
std::string ReadTexts(Fields& fields, const char* member, const std::string& path) {
  const Json* given = fields.Any(member);
  if (given == nullptr) return "";
  if (given->is_string()) return given->get<std::string>();
  if (!given->is_array()) {
    fields.Problem(member, fmt::format("is {}, but it must be a text or a list of blocks", Shown(*given)));
    return "";
  }
  std::string text;
  for (size_t i = 0; i < given->size() && fields.ok(); ++i) {
    Fields block((*given)[i], fmt::format("{}[{}]", path, i));
    const std::string type = ReadBlockType(block);
    if (type == "text") {
      text += ReadTextBlock(block);
    } else {
      RefuseBlock(block, type, "\"text\"");
    }
    Finish(block, fields);
  }
  return text;
}

Json ReadToolUse(Fields& block) {
  const std::string id = block.Text("id").value_or("");
  const std::string name = block.Text("name").value_or("");
  const Json* input = block.Object("input");
  if (id.empty()) block.Problem("id", "is missing");
  if (name.empty()) block.Problem("name", "is missing");
  if (input == nullptr) block.Problem("input", "is missing");
  return {{"type", "function"},
          {"id", id},
          {"function", {{"name", name}, {"arguments", input == nullptr ? Json::object() : *input}}}};
}

Json ReadToolResult(Fields& block, const std::string& path) {
  const std::string id = block.Text("tool_use_id").value_or("");
  if (id.empty()) block.Problem("tool_use_id", "is missing");
  std::string text = ReadTexts(block, "content", path + ".content");
  // Templates know no failed calls, so the text says it.
  if (block.Bool("is_error").value_or(false)) text = "Error: " + text;
  return {{"role", "tool"}, {"tool_call_id", id}, {"content", text}};
}

// The blocks of one message, in their order: results are messages of their own.
class MessageBuilder {
 public:
  MessageBuilder(std::string role, Json& messages) : role_(std::move(role)), messages_(messages) {}

  void Text(const std::string& text) {
    text_ += text;
    has_text_ = true;
  }
  void Think(const std::string& thoughts) { thoughts_ += thoughts; }
  void Use(Json call) { calls_.push_back(std::move(call)); }
  void Result(Json message) {
    Flush();
    messages_.push_back(std::move(message));
  }
  void Flush() {
    if (has_text_ || !thoughts_.empty() || !calls_.empty()) {
      Json message = {{"role", role_}, {"content", calls_.empty() || has_text_ ? Json(text_) : Json(nullptr)}};
      if (!thoughts_.empty()) message["reasoning_content"] = std::exchange(thoughts_, "");
      if (!calls_.empty()) message["tool_calls"] = std::exchange(calls_, Json::array());
      messages_.push_back(std::move(message));
    }
    text_.clear();
    has_text_ = false;
  }

 private:
  std::string role_;
  Json& messages_;
  std::string text_;
  bool has_text_ = false;
  std::string thoughts_;
  Json calls_ = Json::array();
};

void ReadBlock(Fields& block, const std::string& path, bool assistant, MessageBuilder& message) {
  const std::string type = ReadBlockType(block);
  if (type == "text") {
    message.Text(ReadTextBlock(block));
  } else if (assistant && type == "thinking") {
    message.Think(block.Text("thinking").value_or(""));
    (void)block.Text("signature");
  } else if (assistant && type == "tool_use") {
    message.Use(ReadToolUse(block));
  } else if (!assistant && type == "tool_result") {
    message.Result(ReadToolResult(block, path));
  } else {
    RefuseBlock(block, type,
                assistant ? "\"text\", \"thinking\" and \"tool_use\" here" : "\"text\" and \"tool_result\" here");
  }
}

void ReadOne(const Json& value, const std::string& path, bool last, Fields& fields, Json& messages) {
  Fields given(value, path);
  const std::string role = given.Text("role").value_or("");
  const bool assistant = role == "assistant";
  if (given.ok() && role != "user" && !assistant) {
    given.Problem("role",
                  fmt::format("is {}, but it must be user or assistant", role.empty() ? "missing" : Shown(role)));
  }
  if (assistant && last) {
    given.Problem("role", "is assistant in the last message, but beginning an answer for the model is not supported");
  }
  MessageBuilder message(role, messages);
  const Json* content = given.Any("content");
  if (content != nullptr && content->is_array()) {
    for (size_t i = 0; i < content->size() && given.ok(); ++i) {
      const std::string place = fmt::format("{}.content[{}]", path, i);
      Fields block((*content)[i], place);
      ReadBlock(block, place, assistant, message);
      Finish(block, given);
    }
    if (content->empty()) given.Problem("content", "is empty");
  } else if (const auto text = given.Text("content")) {
    message.Text(*text);
  } else {
    given.Problem("content", "is missing");
  }
  message.Flush();
  Finish(given, fields);
}

}  // namespace

Json ReadMessagesInput(Fields& fields) {
  Json conversation = {{"messages", Json::array()}, {"add_generation_prompt", true}};
  Json& messages = conversation["messages"];
  const std::string system = ReadTexts(fields, "system", "system");
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  if (!CheckMessageCount(fields, "messages")) return conversation;
  const Json& given = *fields.Array("messages");
  for (size_t i = 0; i < given.size() && fields.ok(); ++i) {
    ReadOne(given[i], fmt::format("messages[{}]", i), i + 1 == given.size(), fields, messages);
  }
  return conversation;
}

}  // namespace kvasir::server
