// kvasir completion: scripts that teach a shell the commands.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/command_list.h"
#include "cli/completion.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/program.h"
#include "kvasir/options.h"

namespace kvasir::cli {
namespace {

constexpr const char* kCompletionExamples =
    "Examples:\n"
    "  kvasir completion bash > ~/.local/share/bash-completion/completions/kvasir\n"
    "  kvasir completion zsh > ~/.zfunc/_kvasir        (a folder of your $fpath)\n"
    "  kvasir completion fish > ~/.config/fish/completions/kvasir.fish\n"
    "\n"
    "'kvasir completion models' prints the installed models, a line each; the scripts ask that.";

std::string Completion(const std::string& what) {
  if (what == "models") {
    std::string names;
    for (const std::string& name : InstalledModels()) names += name + "\n";
    return names;
  }
  CLI::App program;
  const Action action = DefineProgram(program);
  const std::vector<CommandEntry> commands = DescribeCommands(program);
  if (what == "bash") return BashCompletion(commands);
  return what == "zsh" ? ZshCompletion(commands) : FishCompletion(commands);
}

}  // namespace

Action DefineCompletion(CLI::App& app) {
  auto what = std::make_shared<std::string>();
  AddChoice(app, "shell", {"bash", "zsh", "fish", "models"}, "the shell, or models", [what](std::string_view choice) {
    *what = choice;
  }).Required();
  SetFooter(app, kCompletionExamples);
  return [what]() -> Result<int> {
    WriteOut(Completion(*what));
    return 0;
  };
}

}  // namespace kvasir::cli
