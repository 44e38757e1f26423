// How --help looks.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace kvasir::cli {

/// The full name of a command, as one types it: "kvasir eval ppl".
[[nodiscard]] std::string CommandPath(const CLI::App& app);

/// Breaks `text` at spaces into lines of at most `width` columns, each but the first indented by `indent`. Words longer
/// than a line stay whole.
[[nodiscard]] std::string WrapText(const std::string& text, size_t indent, size_t width);

/// Usage line, what the command does, its options by group in two columns, then the footer with examples.
class HelpFormatter : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

}  // namespace kvasir::cli
