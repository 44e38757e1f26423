// The tree of commands: complete, described, and the same in the help and in the completions.
#include "cli/program.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <set>

#include "cli/completion.h"
#include "cli/help.h"

namespace kvasir::cli {
namespace {

class ProgramTest : public testing::Test {
 protected:
  ProgramTest() : action_(DefineProgram(app_)) {}

  void ForEach(const std::function<void(const CLI::App&)>& fn) { Visit(app_, fn); }

  CLI::App app_;
  Action action_;

 private:
  static void Visit(const CLI::App& app, const std::function<void(const CLI::App&)>& fn) {
    fn(app);
    for (const CLI::App* command : app.get_subcommands({})) Visit(*command, fn);
  }
};

TEST_F(ProgramTest, EveryCommandAndOptionExplainsItself) {
  ForEach([](const CLI::App& app) {
    EXPECT_FALSE(app.get_description().empty()) << CommandPath(app);
    for (const CLI::Option* option : app.get_options()) {
      EXPECT_FALSE(option->get_description().empty()) << CommandPath(app) << " " << option->get_name();
      EXPECT_FALSE(option->get_description().ends_with('.')) << CommandPath(app) << " " << option->get_name();
    }
    if (app.get_parent() != nullptr) {
      EXPECT_NE(app.get_footer().find("Examples:"), std::string::npos) << CommandPath(app);
    }
  });
}

TEST_F(ProgramTest, HelpFitsTheScreenAndNamesEveryOption) {
  ForEach([](const CLI::App& app) {
    const std::string help = app.help("", CLI::AppFormatMode::Normal);
    for (const std::string& line : CLI::detail::split(help, '\n')) {
      // Examples are not broken.
      if (!line.starts_with("  kvasir")) {
        EXPECT_LE(line.size(), 100U) << line;
      }
    }
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) {
        EXPECT_NE(help.find("--" + name), std::string::npos) << CommandPath(app) << " " << name;
      }
    }
  });
}

TEST_F(ProgramTest, CompletionsHoldEveryCommandAndOption) {
  const std::vector<CommandEntry> commands = DescribeCommands(app_);
  const std::string bash = BashCompletion(commands);
  const std::string zsh = ZshCompletion(commands);
  const std::string fish = FishCompletion(commands);
  std::set<std::string> names;
  ForEach([&](const CLI::App& app) {
    if (app.get_parent() != nullptr) names.insert(app.get_name());
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) names.insert(name);
    }
  });
  EXPECT_GT(names.size(), 50U);
  for (const std::string& name : names) {
    EXPECT_NE(bash.find(name), std::string::npos) << name;
    EXPECT_NE(zsh.find(name), std::string::npos) << name;
    EXPECT_NE(fish.find(name), std::string::npos) << name;
  }
}

TEST_F(ProgramTest, CompletionsKnowWhatAValueIs) {
  const std::vector<CommandEntry> commands = DescribeCommands(app_);
  const auto value = [&](const std::vector<std::string>& path, const std::string& name) -> OptionEntry {
    for (const CommandEntry& command : commands) {
      if (command.path != path) continue;
      for (const OptionEntry& option : command.options) {
        for (const std::string& candidate : option.names) {
          if (candidate == name) return option;
        }
        if (name.empty() && option.names.empty()) return option;
      }
    }
    ADD_FAILURE() << name;
    return {};
  };
  EXPECT_EQ(value({"run"}, "-m").value, ValueKind::kModel);
  EXPECT_EQ(value({"run"}, "--file").value, ValueKind::kFile);
  EXPECT_EQ(value({"run"}, "--greedy").value, ValueKind::kNone);
  EXPECT_EQ(value({"run"}, "--compute").choices, (std::vector<std::string>{"fast", "balanced", "precise", "exact"}));
  EXPECT_TRUE(value({"run"}, "--stop").repeat);
  EXPECT_FALSE(value({"run"}, "--prompt").repeat);
  EXPECT_EQ(value({"eval", "golden"}, "--golden").value, ValueKind::kDirectory);
  EXPECT_EQ(value({"inspect"}, "").value, ValueKind::kModel);
  EXPECT_EQ(value({"completion"}, "").value, ValueKind::kChoice);
}

}  // namespace
}  // namespace kvasir::cli
