#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "cli/flags.h"
#include "cli/terminal.h"

namespace kvasir::cli {
namespace {

constexpr size_t kIndent = 2;
constexpr size_t kMaxLeftColumn = 30;
constexpr size_t kMinRightColumn = 30;  // with less room, what an option does goes below its name
constexpr size_t kIndentBelow = 6;

struct Row {
  std::string left;
  std::string right;
};

struct Section {
  std::string title;
  std::vector<Row> rows;
};

Section& SectionOf(std::vector<Section>& sections, const std::string& title) {
  const auto found = std::find_if(sections.begin(), sections.end(), [&](const Section& s) { return s.title == title; });
  if (found != sections.end()) return *found;
  return sections.emplace_back(Section{title, {}});
}

std::string OptionNames(const CLI::Option& option) {
  if (option.get_positional()) return option.get_type_name();
  std::string names;
  for (const std::string& name : option.get_snames()) names += fmt::format("{}-{}", names.empty() ? "" : ", ", name);
  for (const std::string& name : option.get_lnames()) names += fmt::format("{}--{}", names.empty() ? "" : ", ", name);
  const std::string type = option.get_type_name();
  return type.empty() ? names : names + " " + type;
}

// "answer one prompt" -> "Answer one prompt."
std::string Sentence(std::string text) {
  if (text.empty() || text.ends_with('.')) return text;
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text + ".";
}

std::string UsageLine(const CLI::App& app) {
  std::string line = fmt::format("Usage: {}", CommandPath(app));
  if (!app.get_subcommands({}).empty()) return line + " COMMAND [options]";
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_required() && !option->get_positional())
      line += " " + fmt::format("-{} {}",
                                option->get_snames().empty() ? "-" + option->get_lnames().front()
                                                             : option->get_snames().front(),
                                option->get_type_name());
  }
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional())
      line += option->get_required() ? " " + option->get_type_name() : fmt::format(" [{}]", option->get_type_name());
  }
  return line + " [options]";
}

std::string Render(const std::vector<Section>& sections, size_t width) {
  size_t column = 0;
  for (const Section& section : sections) {
    for (const Row& row : section.rows) {
      if (row.left.size() <= kMaxLeftColumn) column = std::max(column, row.left.size());
    }
  }
  size_t right = kIndent + column + 2;
  if (right + kMinRightColumn > width) right = kIndentBelow;
  std::string text;
  for (const Section& section : sections) {
    text += fmt::format("\n{}:\n", section.title);
    for (const Row& row : section.rows) {
      std::string line = std::string(kIndent, ' ') + row.left;
      line += line.size() + 2 > right ? "\n" + std::string(right, ' ') : std::string(right - line.size(), ' ');
      text += line + WrapText(row.right, right, width) + "\n";
    }
  }
  return text;
}

// Indented lines, which are examples, stay as they are; the others are paragraphs and are broken to fit.
std::string WrapFooter(const std::string& footer, size_t width) {
  std::string text;
  std::string paragraph;
  const auto flush = [&] {
    if (!paragraph.empty()) text += WrapText(std::exchange(paragraph, ""), 0, width) + "\n";
  };
  for (const std::string& line : CLI::detail::split(footer, '\n')) {
    if (line.empty() || line.starts_with(' ')) {
      flush();
      text += line + "\n";
    } else {
      paragraph += (paragraph.empty() ? "" : " ") + line;
    }
  }
  flush();
  return text;
}

}  // namespace

std::string CommandPath(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? app.get_name() : CommandPath(*parent) + " " + app.get_name();
}

std::string WrapText(const std::string& text, size_t indent, size_t width) {
  std::string out;
  size_t column = indent;
  for (const std::string& word : CLI::detail::split(text, ' ')) {
    if (!out.empty() && column + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (!out.empty()) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string /*name*/, CLI::AppFormatMode /*mode*/) const {
  std::vector<Section> sections;
  for (const CLI::App* command : app->get_subcommands({})) {
    SectionOf(sections, command->get_group()).rows.push_back({command->get_name(), command->get_description()});
  }
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_group().empty() || option == app->get_help_ptr()) continue;
    const std::string required = option->get_required() && !option->get_positional() ? " (required)" : "";
    SectionOf(sections, option->get_group())
        .rows.push_back({OptionNames(*option), option->get_description() + required});
  }
  // The help flag comes last of the plain options, wherever CLI11 keeps it.
  if (const CLI::Option* help = app->get_help_ptr()) {
    SectionOf(sections, "Options").rows.push_back({OptionNames(*help), help->get_description()});
  }
  std::string text = UsageLine(*app) + "\n";
  const size_t width = HelpWidth();
  text += "\n" + WrapText(Sentence(app->get_description()), 0, width) + "\n";
  text += Render(sections, width);
  if (!app->get_footer().empty()) text += "\n" + WrapFooter(app->get_footer(), width);
  return text;
}

}  // namespace kvasir::cli
