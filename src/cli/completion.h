// Completions for shells, made from the commands and options themselves.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace kvasir::cli {

/// What completes the value of an option.
enum class ValueKind { kNone, kText, kChoice, kModel, kFile, kDirectory };

struct OptionEntry {
  std::vector<std::string> names;  ///< "-t", "--threads"; empty for a positional one.
  std::string help;
  ValueKind value = ValueKind::kNone;
  std::vector<std::string> choices;
  bool repeat = false;
};

/// A command with the words that lead to it ({"eval", "ppl"}; none for the program itself).
struct CommandEntry {
  std::vector<std::string> path;
  std::string help;
  std::vector<OptionEntry> options;
  std::vector<std::string> subcommands;
};

/// All commands of `app`, each before those below it.
[[nodiscard]] std::vector<CommandEntry> DescribeCommands(const CLI::App& app);

/// A script to be sourced by the shell. The names of installed models are asked of the program each time.
[[nodiscard]] std::string BashCompletion(const std::vector<CommandEntry>& commands);
[[nodiscard]] std::string ZshCompletion(const std::vector<CommandEntry>& commands);
[[nodiscard]] std::string FishCompletion(const std::vector<CommandEntry>& commands);

}  // namespace kvasir::cli
