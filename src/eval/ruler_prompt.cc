// A prompt of the right length.
//
// Problem: a text of how many sentences has N tokens? Only the tokenizer knows. The number of tokens grows with the
// number of sentences, so the largest that fits is found by doubling and then halving the step. Where a text turns out
// a few tokens longer than a larger one (the sentences are drawn anew), the result is a little short of full, never
// over.
//
// The prompt is tokenised as a whole, as it would be in use, and cut in two afterwards: a token that reaches over the
// boundary counts as part of the question.
#include "eval/ruler_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace kvasir::eval {

Result<PromptWriter::Rendered> PromptWriter::Render(const RulerText& text) const {
  if (chat_template_ == nullptr) {
    return Rendered{text.context + text.question + text.answer_prefix, text.context.size()};
  }
  const nlohmann::ordered_json request = {{"messages", {{{"role", "user"}, {"content", text.context + text.question}}}},
                                          {"add_generation_prompt", true}};
  KV_ASSIGN(std::string rendered, chat_template_->Apply(request.dump()));
  const size_t question = rendered.rfind(text.question);
  if (question == std::string::npos || question == 0) {
    return Fail(
        ErrorCode::kUnsupported,
        "the model's chat template does not repeat the user's message as it is; evaluate it without the template "
        "(--raw)");
  }
  rendered += std::string_view(text.answer_prefix).substr(1);  // the assistant's message begins without a space
  return Rendered{std::move(rendered), question};
}

std::vector<int32_t> PromptWriter::Encode(std::string_view text) const {
  std::vector<int32_t> tokens =
      tokenizer_.Encode(text, {.add_special = false, .parse_special = chat_template_ != nullptr});
  // Most templates write the beginning-of-text token themselves.
  if (tokenizer_.adds_bos() && (tokens.empty() || tokens.front() != tokenizer_.bos())) {
    tokens.insert(tokens.begin(), tokenizer_.bos());
  }
  return tokens;
}

Result<RulerPrompt> PromptWriter::Fill(const RulerTask& task, const Dice& dice, const RulerFrame& frame) const {
  const int room = frame.context_tokens - task.answer_tokens;
  const auto measure = [&](int size) -> Result<int> {
    KV_ASSIGN(const Rendered rendered, Render(task.make(dice, size, frame)));
    return static_cast<int>(Encode(rendered.text).size());
  };
  KV_ASSIGN(const int least, measure(task.least_size));
  if (least > room) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} does not fit a context of {} tokens: it needs at least {}; take a larger context or leave "
                    "the task out",
                    task.name, frame.context_tokens, least + task.answer_tokens));
  }
  int fits = task.least_size;
  int step = 1;
  while (fits + step <= kMaxSize) {
    KV_ASSIGN(const int tokens, measure(fits + step));
    if (tokens > room) break;
    fits += step;
    step *= 2;
  }
  for (step /= 2; step > 0; step /= 2) {
    if (fits + step > kMaxSize) continue;
    KV_ASSIGN(const int tokens, measure(fits + step));
    if (tokens <= room) fits += step;
  }

  RulerText text = task.make(dice, fits, frame);
  KV_ASSIGN(const Rendered rendered, Render(text));
  RulerPrompt prompt{.tokens = Encode(rendered.text), .size = fits, .facts = std::move(text.facts)};
  const std::vector<int32_t> before = Encode(std::string_view(rendered.text).substr(0, rendered.question));
  const auto [end, unused] =
      std::mismatch(prompt.tokens.begin(), prompt.tokens.end() - 1, before.begin(), before.end());
  prompt.context_tokens = static_cast<int>(end - prompt.tokens.begin());
  KV_CHECK(prompt.context_tokens > 0);
  return prompt;
}

}  // namespace kvasir::eval
