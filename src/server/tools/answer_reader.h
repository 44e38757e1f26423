// An answer of a model, divided into its thoughts, its text and its calls.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/tools/answer_parser.h"
#include "server/tools/thoughts.h"
#include "server/tools/tool_prompt.h"

namespace kvasir::server {

/// Reads one answer as it comes. Where no tools are offered what is not a thought is text.
class AnswerReader {
 public:
  /// `thinking`: the prompt ends inside the thoughts.
  AnswerReader(const ToolOptions& tools, const ToolDialect& dialect, bool thinking);

  [[nodiscard]] CallEvents Push(std::string_view text);
  [[nodiscard]] CallEvents Finish();
  /// Calls that have begun.
  [[nodiscard]] int calls() const { return calls_; }

 private:
  [[nodiscard]] CallEvents Counted(CallEvents events);

  [[nodiscard]] CallEvents Parsed(std::string_view text, CallEvents events);

  std::optional<ThoughtReader> thoughts_;
  std::unique_ptr<AnswerParser> parser_;  // null: what is no thought is text
  bool separate_;
  int calls_ = 0;
};

struct AnswerParts {
  std::string thoughts;
  std::string text;
  std::vector<ToolCall> calls;
};

/// The same for an answer that is complete.
[[nodiscard]] AnswerParts ReadAnswer(std::string_view text, const ToolOptions& tools, const ToolDialect& dialect,
                                     bool thinking = false);

}  // namespace kvasir::server
