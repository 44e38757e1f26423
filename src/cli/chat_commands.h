// The commands of the chat: lines that begin with a slash.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvasir::cli {

enum class ChatVerb { kHelp, kReset, kSystem, kSave, kLoad, kStats, kRegen, kExit };

struct ChatCommandInfo {
  const char* name;      ///< With the slash.
  const char* argument;  ///< As the help shows it; empty where there is none.
  const char* help;
  ChatVerb verb;
};

/// All commands, in the order of /help.
[[nodiscard]] std::span<const ChatCommandInfo> ChatCommands();

/// A line from the user, understood.
struct ChatLine {
  std::optional<ChatVerb> verb;  ///< Nothing: a message.
  std::string text;              ///< The message, or the command's argument.
  std::string error;             ///< Not empty: a command that does not exist, and what may have been meant.
};

/// "/save a.json" is a command, "//x" the message "/x", anything else a message. A command is one line.
[[nodiscard]] ChatLine ParseChatLine(std::string_view line);

/// What /help prints.
[[nodiscard]] std::string ChatHelp();

}  // namespace kvasir::cli
