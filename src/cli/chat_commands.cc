#include "cli/chat_commands.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/nearest.h"
#include "cli/utf8_text.h"

namespace kvasir::cli {
std::span<const ChatCommandInfo> ChatCommands() {
  static constexpr auto kCommands = std::to_array<ChatCommandInfo>({
      {"/help", "", "show this", ChatVerb::kHelp},
      {"/reset", "", "forget the conversation", ChatVerb::kReset},
      {"/system", "TEXT", "tell the model what it is; without TEXT, show what it was told", ChatVerb::kSystem},
      {"/regen", "", "answer the last message again", ChatVerb::kRegen},
      {"/save", "FILE", "save the conversation as JSON", ChatVerb::kSave},
      {"/load", "FILE", "go on with a saved conversation", ChatVerb::kLoad},
      {"/stats", "", "show tokens, speed and memory", ChatVerb::kStats},
      {"/exit", "", "leave (so does Ctrl-D)", ChatVerb::kExit},
  });
  return kCommands;
}

ChatLine ParseChatLine(std::string_view line) {
  if (line.starts_with("//")) return {.text = std::string(line.substr(1))};
  if (!line.starts_with('/') || line.find('\n') != std::string_view::npos) return {.text = std::string(line)};
  const size_t end = std::min(line.find_first_of(" \t"), line.size());
  const std::string name(line.substr(0, end));
  std::vector<std::string> known;
  for (const ChatCommandInfo& command : ChatCommands()) {
    if (name == command.name) return {.verb = command.verb, .text = std::string(TrimBlanks(line.substr(end)))};
    known.emplace_back(command.name);
  }
  if (name == "/quit" || name == "/bye") return {.verb = ChatVerb::kExit};
  const auto nearest = base::Nearest(name, known);
  return {.error =
              fmt::format("there is no command {}; {}. A message that begins with a slash is written with two: /{}",
                          name, nearest ? fmt::format("did you mean {}?", *nearest) : "/help lists them", name)};
}

std::string ChatHelp() {
  std::string text;
  for (const ChatCommandInfo& command : ChatCommands()) {
    text += fmt::format("  {:<14} {}\n", fmt::format("{} {}", command.name, command.argument), command.help);
  }
  text +=
      "\n"
      "  A message of several lines: end a line with \\ to go on in the next one,\n"
      "  or write \"\"\" before the first and after the last.\n"
      "  Ctrl-C stops an answer. The arrow keys bring back earlier messages, Ctrl-R searches them.\n";
  return text;
}

}  // namespace kvasir::cli
