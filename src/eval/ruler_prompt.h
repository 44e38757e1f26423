// From the text of a task to the tokens of a prompt that fills a context.
#pragma once

#include <cstdint>
#include <vector>

#include "eval/ruler_task.h"
#include "kvasir/chat_template.h"
#include "kvasir/result.h"
#include "kvasir/tokenizer.h"

namespace kvasir::eval {

struct RulerPrompt {
  std::vector<int32_t> tokens;
  /// How many of `tokens` come before the question. At least 1, less than all.
  int context_tokens = 0;
  int size = 0;  ///< The size of the task's text.
  std::vector<RulerFact> facts;
};

/// Writes prompts for one model. Thread-safe; refers to what it was made from.
class PromptWriter {
 public:
  /// `chat_template` null: the plain text. Otherwise context and question are a user's message and the answer prefix
  /// begins the assistant's.
  PromptWriter(const Tokenizer& tokenizer, const ChatTemplate* chat_template)
      : tokenizer_(tokenizer), chat_template_(chat_template) {}

  /// The largest prompt of `task` that leaves `task.answer_tokens` of `frame.context_tokens` free, up to a text of
  /// kMaxSize sentences. Errors: not even the smallest one fits (how many tokens it needs is named); the template
  /// fails, or changes the message.
  [[nodiscard]] Result<RulerPrompt> Fill(const RulerTask& task, const Dice& dice, const RulerFrame& frame) const;

  static constexpr int kMaxSize = 1 << 22;

 private:
  // The whole prompt as text, and where the question begins.
  struct Rendered {
    std::string text;
    size_t question;
  };
  Result<Rendered> Render(const RulerText& text) const;
  std::vector<int32_t> Encode(std::string_view text) const;

  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_template_;
};

}  // namespace kvasir::eval
