// An answer of a model, divided into its text and its calls.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/tools/call_parser.h"
#include "server/tools/tool_prompt.h"

namespace kvasir::server {

/// Reads one answer as it comes. Where no tools are offered all of it is text.
class AnswerReader {
 public:
  AnswerReader(const ToolOptions& tools, const ToolDialect& dialect);

  [[nodiscard]] CallEvents Push(std::string_view text);
  [[nodiscard]] CallEvents Finish();
  /// Calls that have begun.
  [[nodiscard]] int calls() const { return calls_; }

 private:
  [[nodiscard]] CallEvents Counted(CallEvents events);

  std::unique_ptr<CallParser> parser_;  // null: no tools
  int calls_ = 0;
};

struct AnswerParts {
  std::string text;
  std::vector<ToolCall> calls;
};

/// The same for an answer that is complete.
[[nodiscard]] AnswerParts ReadAnswer(std::string_view text, const ToolOptions& tools, const ToolDialect& dialect);

}  // namespace kvasir::server
