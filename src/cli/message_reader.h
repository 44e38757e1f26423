// Messages from lines: most are one line, some are more.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::cli {

/// Joins lines to messages. A line that ends with a backslash goes on in the next one (which a newline joins), and
/// everything between a line that starts with """ and the next """ at the end of a line is one message, as it is.
class MessageReader {
 public:
  /// Takes a line without its newline; gives a message when it is complete.
  [[nodiscard]] std::optional<std::string> Push(std::string_view line);
  /// True in the middle of a message.
  [[nodiscard]] bool open() const { return !lines_.empty(); }
  /// The input ended or the user gave up: gives what there is, if anything, and starts afresh.
  std::optional<std::string> Finish();

 private:
  std::vector<std::string> lines_;
  bool quoted_ = false;
};

}  // namespace kvasir::cli
