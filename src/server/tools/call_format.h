// How one family of models writes calls: reading them, writing them down, and holding a model to them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/tools/answer_parser.h"
#include "server/tools/call_grammar.h"
#include "server/tools/tool.h"

namespace kvasir::server {

/// Immutable and thread-safe.
class CallFormat {
 public:
  /// `signs`: a chat template in which all of these stand belongs to this family.
  CallFormat(std::string name, std::vector<std::string> signs) : name_(std::move(name)), signs_(std::move(signs)) {}
  virtual ~CallFormat() = default;
  CallFormat(const CallFormat&) = delete;
  CallFormat& operator=(const CallFormat&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool Recognises(std::string_view chat_template) const;

  /// Whether answers without calls have to be read as well, because their text is not what the model writes.
  [[nodiscard]] virtual bool reads_every_answer() const { return false; }
  /// Reads one answer, in which these functions may be called.
  [[nodiscard]] virtual std::unique_ptr<AnswerParser> NewParser(std::vector<Tool> tools) const = 0;
  /// The calls as the model writes them; their arguments are JSON objects.
  [[nodiscard]] virtual std::string Write(std::span<const ToolCall> calls) const = 0;
  /// One call of one of `tools`, or with `many` one or more, and nothing else. Errors: schemas that cannot be held to.
  [[nodiscard]] virtual Result<Grammar> CallsGrammar(std::span<const Tool> tools, ArgumentRule rule, bool many,
                                                     const Spelling& spelled) const = 0;
  /// An answer without calls whose text is one of `text`.
  [[nodiscard]] virtual Grammar TextAnswer(const Grammar& text, const Spelling& /*spelled*/) const { return text; }
  /// Any text in which no call begins, and then `calls` or nothing.
  [[nodiscard]] virtual Grammar FreeAnswer(const Grammar& calls, const Spelling& spelled) const;
  /// The texts that say where calls begin, end and are divided. Some are single tokens of a model, which would have no
  /// text otherwise.
  [[nodiscard]] virtual std::vector<std::string> Markers() const = 0;
  /// Those of them that stand before a call.
  [[nodiscard]] virtual std::vector<std::string> OpeningMarkers() const = 0;

 private:
  std::string name_;
  std::vector<std::string> signs_;
};

/// `text` without white space around it.
[[nodiscard]] std::string Trimmed(std::string_view text);

}  // namespace kvasir::server
