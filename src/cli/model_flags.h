// The options that every command with a model has.
#pragma once

#include "kvasir/options.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kvasir::cli {

/// -m/--model, required.
CLI::Option* AddModelFlag(CLI::App& app, std::string& model);

/// -t/--threads.
CLI::Option* AddThreadsFlag(CLI::App& app, int& threads);

/// --compute and --kv.
void AddPrecisionFlags(CLI::App& app, EngineOptions& options);

/// -c/--ctx. `help` says what the context means for the command.
CLI::Option* AddContextFlag(CLI::App& app, int& context, int low, const std::string& help);

/// -m, -t, -c, --compute and --kv.
void AddEngineFlags(CLI::App& app, EngineOptions& options);

}  // namespace kvasir::cli
