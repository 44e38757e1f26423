// What a command of the program is, and the table of all of them.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "kvasir/result.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvasir::cli {

/// What a command does once its options are read. Gives the exit code; an error is printed as one line, exit code 1.
using Action = std::function<Result<int>()>;

/// One command. `define` adds its options to `app` (and examples, as the footer) and returns what to do.
struct Command {
  const char* name;
  const char* group;    ///< Heading in the list of commands.
  const char* summary;  ///< One line, without a full stop.
  Action (*define)(CLI::App& app);
  /// It computes with a model or measures the machine, so a KVASIR_ISA that this machine cannot grant is its error.
  bool uses_kernels = false;
};

/// All commands, in the order of the help.
[[nodiscard]] std::span<const Command> Commands();

/// Adds `commands` below `app` and returns the action that runs the one that was chosen. Without a choice it prints the
/// help.
[[nodiscard]] Action DefineCommands(CLI::App& app, std::span<const Command> commands);

/// Prints "kvasir: MESSAGE" and where the help is to stderr, and gives the exit code of a wrong call.
int UsageError(const CLI::App& app, std::string_view message);

// Exit codes, as shells expect them.
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;  ///< 128 + SIGINT
inline constexpr int kExitBrokenPipe = 141;   ///< 128 + SIGPIPE

}  // namespace kvasir::cli
