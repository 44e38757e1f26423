#include "jinja/chat.h"

#include <fmt/format.h>

#include "base/check.h"

namespace kvasir::jinja {

namespace {

using Json = nlohmann::ordered_json;

// As JSON's users call it: the binary data that ParseRequestText makes are numbers.
std::string_view TypeName(const Json& value) {
  return value.is_binary() ? "number" : value.type_name();
}

std::unexpected<Error> WrongType(std::string_view member, std::string_view wanted, const Json& value) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("the member '{}' of a chat request must be {}, not {}", member, wanted, TypeName(value)));
}

Status ReadMember(const std::string& name, const Json& value, ChatRequest& chat) {
  if (name == "messages") {
    if (!value.is_array()) return WrongType(name, "a list of messages", value);
    chat.messages = value;
  } else if (name == "tools" || name == "documents") {
    if (!value.is_array() && !value.is_null()) return WrongType(name, "a list or null", value);
    (name == "tools" ? chat.tools : chat.documents) = value;
  } else if (name == "add_generation_prompt") {
    if (!value.is_boolean()) return WrongType(name, "true or false", value);
    chat.add_generation_prompt = value.get<bool>();
  } else if (name == "chat_template_kwargs") {
    if (!value.is_object() && !value.is_null()) return WrongType(name, "an object", value);
    for (const auto& [key, extra] : value.items()) chat.extra[key] = extra;
  } else {
    chat.extra[name] = value;
  }
  return {};
}

}  // namespace

Result<ChatRequest> ParseChatRequest(const Json& request) {
  if (!request.is_object()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a chat request must be an object with the member 'messages', not {}", TypeName(request)));
  }
  if (!request.contains("messages")) {
    return Fail(ErrorCode::kInvalidArgument, "a chat request needs the member 'messages', a list of messages");
  }
  ChatRequest chat;
  for (const auto& [name, value] : request.items()) KV_TRY(ReadMember(name, value, chat));
  return chat;
}

Result<std::string> ApplyChatTemplate(const Template& chat_template, const ChatRequest& chat,
                                      std::string_view bos_token, std::string_view eos_token,
                                      const RenderOptions& options) {
  Json context = Json::object();
  context["bos_token"] = bos_token;
  context["eos_token"] = eos_token;
  if (chat.extra.is_object()) {
    for (const auto& [name, value] : chat.extra.items()) context[name] = value;
  }
  context["messages"] = chat.messages;
  context["tools"] = chat.tools;
  context["documents"] = chat.documents;
  context["add_generation_prompt"] = chat.add_generation_prompt;
  return chat_template.Render(context, options);
}

}  // namespace kvasir::jinja
