// The program `kvasir` as a function.
#pragma once

#include "cli/command.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvasir::cli {

/// Reads the arguments, runs the command, and gives the exit code: 0, 1 for an error, 2 for a wrong call, 130 after
/// Ctrl-C. Errors are one line "kvasir: MESSAGE" on stderr.
int RunProgram(int argc, const char* const* argv, const char* version);

/// Gives `app` all options and commands of the program, without reading any argument. For completions and tests.
[[nodiscard]] Action DefineProgram(CLI::App& app);

}  // namespace kvasir::cli
