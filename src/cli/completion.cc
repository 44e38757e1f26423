// A completion script that lists the options by hand is wrong as soon as an option is added. So the scripts are written
// from the same tree of commands that parses the arguments; the type of an option's value (MODEL, FILE, DIR, "a|b|c")
// says how the value is completed.
#include "cli/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace kvasir::cli {
namespace {

constexpr const char* kModels = "kvasir completion models 2>/dev/null";

OptionEntry Describe(const CLI::Option& option) {
  OptionEntry entry;
  for (const std::string& name : option.get_snames()) entry.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) entry.names.push_back("--" + name);
  entry.help = option.get_description();
  entry.repeat = option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  if (option.get_items_expected_max() == 0) return entry;
  const std::string type = option.get_type_name();
  entry.value = ValueKind::kText;
  if (type == "MODEL") entry.value = ValueKind::kModel;
  if (type == "FILE") entry.value = ValueKind::kFile;
  if (type == "DIR") entry.value = ValueKind::kDirectory;
  if (type.find('|') != std::string::npos) {
    entry.value = ValueKind::kChoice;
    entry.choices = CLI::detail::split(type, '|');
  }
  return entry;
}

void Describe(const CLI::App& app, const std::vector<std::string>& path, std::vector<CommandEntry>& out) {
  CommandEntry entry{.path = path, .help = app.get_description()};
  for (const CLI::Option* option : app.get_options()) entry.options.push_back(Describe(*option));
  for (const CLI::App* command : app.get_subcommands({})) entry.subcommands.push_back(command->get_name());
  out.push_back(std::move(entry));
  for (const CLI::App* command : app.get_subcommands({})) {
    std::vector<std::string> below = path;
    below.push_back(command->get_name());
    Describe(*command, below, out);
  }
}

std::string Words(const CommandEntry& command) {
  return fmt::format("{}", fmt::join(command.path, " "));
}

std::string HelpOf(const std::vector<CommandEntry>& commands, const CommandEntry& parent, const std::string& name) {
  std::vector<std::string> path = parent.path;
  path.push_back(name);
  for (const CommandEntry& command : commands) {
    if (command.path == path) return command.help;
  }
  return "";
}

// In single quotes, for any of the shells.
std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// ---- bash

std::string BashValue(const OptionEntry& option) {
  switch (option.value) {
    case ValueKind::kModel:
      return fmt::format("mapfile -t COMPREPLY < <(compgen -W \"$({})\" -- \"$cur\"; compgen -f -- \"$cur\")", kModels);
    case ValueKind::kFile: return "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")";
    case ValueKind::kDirectory: return "mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")";
    case ValueKind::kChoice:
      return fmt::format("mapfile -t COMPREPLY < <(compgen -W {} -- \"$cur\")",
                         Quoted(fmt::format("{}", fmt::join(option.choices, " "))));
    case ValueKind::kText:
    case ValueKind::kNone: break;
  }
  return "COMPREPLY=()";
}

std::string BashCommand(const CommandEntry& command) {
  std::string values;
  std::string positional;
  std::vector<std::string> words = command.subcommands;
  for (const OptionEntry& option : command.options) {
    words.insert(words.end(), option.names.begin(), option.names.end());
    if (option.names.empty()) {
      positional = fmt::format("      [[ $cur == -* ]] || {{ {}; return; }}\n", BashValue(option));
    } else if (option.value != ValueKind::kNone) {
      values += fmt::format("        {}) {}; return ;;\n", fmt::join(option.names, " | "), BashValue(option));
    }
  }
  std::string text = fmt::format("    {})\n", Quoted(Words(command)));
  if (!values.empty()) text += fmt::format("      case $prev in\n{}      esac\n", values);
  text += positional;
  text += fmt::format("      mapfile -t COMPREPLY < <(compgen -W {} -- \"$cur\")\n      ;;\n",
                      Quoted(fmt::format("{}", fmt::join(words, " "))));
  return text;
}

// ---- zsh

// Brackets and colons separate the parts of an argument of _arguments.
std::string ZshEscaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string ZshValue(const OptionEntry& option) {
  switch (option.value) {
    case ValueKind::kModel: return ":model:_kvasir_models";
    case ValueKind::kFile: return ":file:_files";
    case ValueKind::kDirectory: return ":folder:_files -/";
    case ValueKind::kChoice: return fmt::format(":value:({})", fmt::join(option.choices, " "));
    case ValueKind::kText: return ":value: ";
    case ValueKind::kNone: break;
  }
  return "";
}

std::string ZshCommand(const std::vector<CommandEntry>& commands, const CommandEntry& command) {
  std::string text = fmt::format("    {})\n", Quoted(Words(command)));
  if (!command.subcommands.empty()) {
    text += "      local -a commands=(\n";
    for (const std::string& name : command.subcommands) {
      text += fmt::format("        {}\n", Quoted(name + ":" + ZshEscaped(HelpOf(commands, command, name))));
    }
    text += "      )\n      [[ $PREFIX == -* ]] || _describe command commands\n";
  }
  text += "      _arguments -s";
  for (const OptionEntry& option : command.options) {
    if (option.names.empty()) {
      text += fmt::format(" \\\n        {}", Quoted("*" + (ZshValue(option).empty() ? ":value: " : ZshValue(option))));
      continue;
    }
    for (const std::string& name : option.names) {
      text += fmt::format(" \\\n        {}", Quoted(fmt::format("{}{}[{}]{}", option.repeat ? "*" : "", name,
                                                                ZshEscaped(option.help), ZshValue(option))));
    }
  }
  return text + "\n      ;;\n";
}

// ---- fish

std::string FishCondition(const CommandEntry& command) {
  if (command.path.empty()) return "__fish_use_subcommand";
  std::string condition = fmt::format("__fish_seen_subcommand_from {}", command.path.front());
  if (command.path.size() > 1) condition += fmt::format("; and __fish_seen_subcommand_from {}", command.path.back());
  if (!command.subcommands.empty()) {
    condition += fmt::format("; and not __fish_seen_subcommand_from {}", fmt::join(command.subcommands, " "));
  }
  return condition;
}

std::string FishValue(const OptionEntry& option) {
  switch (option.value) {
    case ValueKind::kModel: return fmt::format(" -r -F -a '({})'", kModels);
    case ValueKind::kFile: return " -r -F";
    case ValueKind::kDirectory: return " -x -a '(__fish_complete_directories)'";
    case ValueKind::kChoice: return fmt::format(" -x -a '{}'", fmt::join(option.choices, " "));
    case ValueKind::kText: return " -x";
    case ValueKind::kNone: break;
  }
  return "";
}

// Inside single quotes fish knows \' and \\ only.
std::string FishQuoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

}  // namespace

std::vector<CommandEntry> DescribeCommands(const CLI::App& app) {
  std::vector<CommandEntry> commands;
  Describe(app, {}, commands);
  return commands;
}

std::string BashCompletion(const std::vector<CommandEntry>& commands) {
  std::string text =
      "# Completions of kvasir for bash. For this session: source <(kvasir completion bash)\n"
      "_kvasir() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} path= word\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD - 1}\"; do\n"
      "    case \"$path${path:+ }$word\" in\n";
  for (const CommandEntry& command : commands) {
    if (!command.path.empty())
      text += fmt::format("      {}) path={} ;;\n", Quoted(Words(command)), Quoted(Words(command)));
  }
  text += "    esac\n  done\n  case $path in\n";
  for (const CommandEntry& command : commands) text += BashCommand(command);
  return text + "  esac\n}\ncomplete -o filenames -o bashdefault -F _kvasir kvasir\n";
}

std::string ZshCompletion(const std::vector<CommandEntry>& commands) {
  std::string text = fmt::format(
      "#compdef kvasir\n"
      "# Completions of kvasir for zsh. For this session: source <(kvasir completion zsh)\n"
      "_kvasir_models() {{\n"
      "  local -a models=(${{(f)\"$({})\"}})\n"
      "  _describe 'installed model' models\n"
      "  _files -g '*.gguf'\n"
      "}}\n"
      "_kvasir() {{\n"
      "  local path_=\n"
      "  integer at=1 i\n"
      "  for (( i = 2; i < CURRENT; i++ )); do\n"
      "    case \"$path_${{path_:+ }}$words[i]\" in\n",
      kModels);
  for (const CommandEntry& command : commands) {
    if (!command.path.empty())
      text += fmt::format("      {}) path_={} at=i ;;\n", Quoted(Words(command)), Quoted(Words(command)));
  }
  // _arguments takes the first word for the command and would count those between as arguments, which no option
  // follows.
  text +=
      "    esac\n  done\n"
      "  words=(\"${(@)words[at,-1]}\")\n"
      "  (( CURRENT -= at - 1 ))\n"
      "  case $path_ in\n";
  for (const CommandEntry& command : commands) text += ZshCommand(commands, command);
  // Sourced, the file registers the function; found on fpath, it is the function's body.
  return text +
         "  esac\n}\nif [[ $funcstack[1] == _kvasir ]]; then\n  _kvasir \"$@\"\nelse\n  compdef _kvasir kvasir\nfi\n";
}

std::string FishCompletion(const std::vector<CommandEntry>& commands) {
  std::string text =
      "# Completions of kvasir for fish. For this session: kvasir completion fish | source\n"
      "complete -c kvasir -f\n";
  for (const CommandEntry& command : commands) {
    const std::string start = fmt::format("complete -c kvasir -n {}", Quoted(FishCondition(command)));
    for (const std::string& name : command.subcommands) {
      text += fmt::format("{} -a {} -d {}\n", start, name, FishQuoted(HelpOf(commands, command, name)));
    }
    for (const OptionEntry& option : command.options) {
      text += start;
      for (const std::string& name : option.names) {
        text += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2)) : fmt::format(" -s {}", name.substr(1));
      }
      text += FishValue(option) + fmt::format(" -d {}\n", FishQuoted(option.help));
    }
  }
  return text;
}

}  // namespace kvasir::cli
