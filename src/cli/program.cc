#include "cli/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/nearest.h"
#include "cli/flags.h"
#include "cli/help.h"
#include "cli/output.h"
#include "kvasir/inspect.h"

namespace kvasir::cli {
namespace {

// A program may be started with closed descriptors. Then the first file it opens would become its standard output, so
// each is occupied, in the direction that makes every use of it fail.
void OccupyStandardDescriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

std::string VersionLine(const char* version) {
  const CpuReport cpu = InspectCpu();
  return fmt::format("kvasir {} (kernels: {}; this CPU can run {})", version, cpu.chosen_isa,
                     fmt::join(cpu.supported_isa, ", "));
}

// What computes nothing answers all the same.
void WarnOfIsaChoice() {
  if (const Status choice = CheckIsaChoice(); !choice) WriteError("warning: " + choice.error().message);
}

const CLI::App& Chosen(const CLI::App& app) {
  const CLI::App* chosen = &app;
  while (!chosen->get_subcommands().empty()) chosen = chosen->get_subcommands().front();
  return *chosen;
}

// Says what was not understood, and what may have been meant.
std::string ExplainExtra(const CLI::App& app, const std::string& extra) {
  std::vector<std::string> known;
  const bool is_option = extra.starts_with('-');
  if (is_option) {
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
  } else {
    for (const CLI::App* command : app.get_subcommands({})) known.push_back(command->get_name());
  }
  const std::string what = is_option ? "option" : known.empty() ? "argument" : "command";
  std::string message = fmt::format("unknown {} '{}'", what, extra);
  if (const auto nearest = base::Nearest(extra.substr(0, extra.find('=')), known)) {
    message += fmt::format("; did you mean '{}'?", *nearest);
  } else if (const CLI::Option* prompt = app.get_option_no_throw("--prompt");
             !is_option && prompt != nullptr && prompt->get_type_name() == "TEXT") {
    message += "; a prompt follows -p";
  }
  return message;
}

// `message` as CLI11 has it: "--model is required", or the name of a positional one.
std::string ExplainMissing(const CLI::App& app, const std::string& message, const std::vector<std::string>& extras) {
  const std::string name = message.substr(0, message.find(' '));
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option != nullptr && option->get_positional()) {
    return fmt::format("{} is required: {}", FlagName(name), option->get_type_name());
  }
  // A model without its flag, which is how other programs take it.
  if (name == "--model" && !extras.empty() && !extras.front().starts_with('-') &&
      extras.front().find(' ') == std::string::npos) {
    return fmt::format("{}; did you mean '-m {}'?", message, extras.front());
  }
  return message;
}

std::string ExplainParseError(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App& chosen = Chosen(root);
  std::string message = error.what();
  const std::vector<std::string> extras = root.remaining(/*recurse=*/true);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !extras.empty()) {
    return ExplainExtra(chosen, extras.front());
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return ExplainMissing(chosen, message, extras);
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    return fmt::format("{} needs a value", message.substr(0, message.find(':')));
  }
  return message;
}

// "kvasir help run" is "kvasir run --help".
std::vector<const char*> Arguments(int argc, const char* const* argv) {
  std::vector<const char*> arguments(argv, argv + argc);
  if (argc > 1 && std::string_view(argv[1]) == "help") {
    arguments.erase(arguments.begin() + 1);
    arguments.push_back("--help");
  }
  return arguments;
}

int Parse(CLI::App& app, int argc, const char* const* argv, const char* version) {
  const std::vector<const char*> arguments = Arguments(argc, argv);
  try {
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::CallForHelp&) {
    const CLI::App& chosen = Chosen(app);
    // The help of a command that does not exist would be that of the program.
    if (const auto extras = chosen.remaining(); !extras.empty() && !chosen.get_subcommands({}).empty()) {
      return UsageError(chosen, ExplainExtra(chosen, extras.front()));
    }
    WarnOfIsaChoice();
    WriteOut(app.help());
    return FinishOutput(0);
  } catch (const CLI::CallForVersion&) {
    WarnOfIsaChoice();
    WriteOut(VersionLine(version) + "\n");
    return FinishOutput(0);
  } catch (const CLI::ParseError& error) {
    return UsageError(Chosen(app), ExplainParseError(app, error));
  }
  return -1;
}

int Run(int argc, const char* const* argv, const char* version) {
  CLI::App app;
  const Action action = DefineProgram(app);
  if (const int code = Parse(app, argc, argv, version); code >= 0) return code;
  const Result<int> code = action();
  if (!code) {
    WriteError(code.error().message);
    return code.error().code == ErrorCode::kCancelled ? kExitInterrupted : kExitFailure;
  }
  return FinishOutput(*code);
}

}  // namespace

Action DefineProgram(CLI::App& app) {
  app.name("kvasir");
  app.description("kvasir runs language models on this machine and says what they cost.");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_help_flag("-h,--help", "show this help");
  app.set_version_flag("--version", "kvasir", "show the version and the kernels in use");
  app.footer(
      "Start here:\n"
      "  kvasir chat -m smollm2\n"
      "  kvasir run -m smollm2 -p \"Why is the sky blue?\"\n"
      "\n"
      "MODEL is the path of a GGUF file or the name of an installed model.\n"
      "Each command explains itself: kvasir run --help");
  return DefineCommands(app, Commands());
}

Action DefineCommands(CLI::App& app, std::span<const Command> commands) {
  struct Entry {
    CLI::App* app;
    Action action;
    bool uses_kernels;
  };
  auto entries = std::make_shared<std::vector<Entry>>();
  for (const Command& command : commands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->group(command.group);
    entries->push_back({sub, command.define(*sub), command.uses_kernels});
  }
  app.require_subcommand(0, 1);
  return [&app, entries]() -> Result<int> {
    for (const Entry& entry : *entries) {
      if (!entry.app->parsed()) continue;
      if (entry.uses_kernels) KV_TRY(CheckIsaChoice());
      return entry.action();
    }
    WarnOfIsaChoice();
    WriteOut(app.help());
    return 0;
  };
}

int UsageError(const CLI::App& app, std::string_view message) {
  WriteError(fmt::format("{} (see: {} --help)", message, CommandPath(app)));
  return kExitUsage;
}

int RunProgram(int argc, const char* const* argv, const char* version) {
  OccupyStandardDescriptors();
  try {
    return Run(argc, argv, version);
  } catch (const std::bad_alloc&) {
    WriteError("out of memory");
  } catch (const std::exception& error) {
    WriteError(error.what());
  }
  return kExitFailure;
}

}  // namespace kvasir::cli
