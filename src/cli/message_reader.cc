#include "cli/message_reader.h"

#include <utility>

namespace kvasir::cli {
namespace {

constexpr std::string_view kQuote = "\"\"\"";

}  // namespace

std::optional<std::string> MessageReader::Push(std::string_view line) {
  if (open_) {
    text_ += '\n';
  } else if (line.starts_with(kQuote)) {
    quoted_ = true;
    line.remove_prefix(kQuote.size());
  }
  const bool ends = quoted_ ? line.ends_with(kQuote) : !line.ends_with('\\');
  if (quoted_ && ends) line.remove_suffix(kQuote.size());
  if (!quoted_ && !ends) line.remove_suffix(1);
  // A block's first newline, right behind the opening quotes, is not part of the message.
  if (quoted_ && text_ == "\n" && open_) text_.clear();
  text_ += line;
  open_ = true;
  if (!ends) return std::nullopt;
  if (quoted_ && text_.ends_with('\n')) text_.pop_back();
  return Finish();
}

std::optional<std::string> MessageReader::Finish() {
  if (!std::exchange(open_, false)) return std::nullopt;
  quoted_ = false;
  return std::exchange(text_, {});
}

}  // namespace kvasir::cli
