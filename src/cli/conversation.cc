#include "cli/conversation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/parse_json.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

Result<Message> ParseMessage(const Json& json, size_t number) {
  const auto fail = [number](std::string_view why) {
    return Fail(ErrorCode::kCorrupt, fmt::format("message {} {}", number, why));
  };
  if (!json.is_object()) return fail("is not an object");
  for (const char* member : {"role", "content"}) {
    if (!json.contains(member) || !json[member].is_string()) return fail(fmt::format("has no text \"{}\"", member));
  }
  Message message{json["role"], json["content"]};
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    return fail(fmt::format("has the role '{}', but it must be system, user or assistant", message.role));
  }
  return message;
}

}  // namespace

Json MessagesJson(const std::vector<Message>& messages) {
  Json list = Json::array();
  for (const Message& message : messages) list.push_back({{"role", message.role}, {"content", message.content}});
  return list;
}

Result<std::vector<Message>> ParseMessages(std::string_view text) {
  const auto parsed = base::ParseJson<Json>(text);
  if (!parsed) return Fail(ErrorCode::kCorrupt, "it is not JSON: " + parsed.error().message);
  const Json& json = *parsed;
  const Json& list = json.is_object() && json.contains("messages") ? json["messages"] : json;
  if (!list.is_array()) return Fail(ErrorCode::kCorrupt, "it holds no list of messages");
  std::vector<Message> messages;
  for (const Json& item : list) {
    KV_ASSIGN(Message message, ParseMessage(item, messages.size() + 1));
    if (message.role == "system" && !messages.empty()) {
      return Fail(ErrorCode::kCorrupt,
                  fmt::format("message {} is a system message; only the first can be", messages.size() + 1));
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

std::string SavedChat(std::string_view model, const std::vector<Message>& messages) {
  const Json json = {{"model", model}, {"messages", MessagesJson(messages)}};
  return json.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

}  // namespace kvasir::cli
