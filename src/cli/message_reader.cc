#include "cli/message_reader.h"

#include <utility>

namespace kvasir::cli {
namespace {

constexpr std::string_view kQuote = "\"\"\"";

}  // namespace

std::optional<std::string> MessageReader::Push(std::string_view line) {
  if (!open() && line.starts_with(kQuote)) {
    quoted_ = true;
    line.remove_prefix(kQuote.size());
  }
  const bool ends = quoted_ ? line.ends_with(kQuote) : !line.ends_with('\\');
  if (quoted_ && ends) line.remove_suffix(kQuote.size());
  if (!quoted_ && !ends) line.remove_suffix(1);
  lines_.emplace_back(line);
  if (!ends) return std::nullopt;
  // The quotes may have lines of their own.
  if (quoted_ && lines_.back().empty()) lines_.pop_back();
  return Finish();
}

std::optional<std::string> MessageReader::Finish() {
  const bool quoted = std::exchange(quoted_, false);
  if (!open() && !quoted) return std::nullopt;
  const std::vector<std::string> lines = std::exchange(lines_, {});
  const size_t first = quoted && !lines.empty() && lines.front().empty() ? 1 : 0;
  std::string text;
  for (size_t i = first; i < lines.size(); ++i) {
    if (i > first) text += '\n';
    text += lines[i];
  }
  return text;
}

}  // namespace kvasir::cli
