// A conversation as people hold it: messages, which can be saved and loaded.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::cli {

struct Message {
  std::string role;  ///< "system", "user" or "assistant".
  std::string content;
  bool operator==(const Message&) const = default;
};

/// [{"role": ..., "content": ...}, ...]
[[nodiscard]] nlohmann::ordered_json MessagesJson(const std::vector<Message>& messages);

/// Reads a list of messages, or an object with a member "messages" (a saved chat, or a request to a chat API). Errors
/// name the message.
[[nodiscard]] Result<std::vector<Message>> ParseMessages(std::string_view json);

/// What /save writes: {"model": ..., "messages": [...]}, indented.
[[nodiscard]] std::string SavedChat(std::string_view model, const std::vector<Message>& messages);

}  // namespace kvasir::cli
