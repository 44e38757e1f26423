// Lines from the user: edited on a terminal, plain from a pipe.
#pragma once

#include <memory>
#include <string>

namespace kvasir::cli {

/// One line, or why there is none.
struct Line {
  enum class Kind {
    kText,
    kEnd,          ///< Ctrl-D, or the pipe is closed.
    kInterrupted,  ///< Ctrl-C: the line was given up.
  };
  Kind kind = Kind::kText;
  std::string text;  ///< Without the newline.
};

/// Reads lines from standard input.
class LineReader {
 public:
  virtual ~LineReader() = default;
  /// Waits for a line. `continued`: it goes on a message, and the prompt shows that.
  virtual Line Read(bool continued) = 0;
  /// Keeps a whole message for the arrow keys, now and in later sessions.
  virtual void Remember(const std::string& message) = 0;

  /// A line editor with history if standard input is a terminal, else a plain reader.
  static std::unique_ptr<LineReader> Create();
};

/// Where the history of messages is kept: ${XDG_STATE_HOME:-~/.local/state}/kvasir/history. Empty without a home.
[[nodiscard]] std::string HistoryPath();

}  // namespace kvasir::cli
