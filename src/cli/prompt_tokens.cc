#include "cli/prompt_tokens.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "cli/utf8_text.h"

namespace kvasir::cli {

Result<std::string> RenderMessages(const ChatTemplate& chat_template, const std::vector<Message>& messages) {
  for (const Message& message : messages) {
    KV_TRY(CheckUtf8(message.content, fmt::format("the {} message", message.role)));
  }
  const nlohmann::ordered_json request = {{"messages", MessagesJson(messages)}, {"add_generation_prompt", true}};
  return chat_template.Apply(request.dump());
}

std::vector<int32_t> EncodeRendered(const Tokenizer& tokenizer, std::string_view rendered) {
  std::vector<int32_t> tokens = tokenizer.Encode(rendered, {.add_special = false, .parse_special = true});
  if (tokenizer.adds_bos() && (tokens.empty() || tokens.front() != tokenizer.bos())) {
    tokens.insert(tokens.begin(), tokenizer.bos());
  }
  return tokens;
}

std::vector<int32_t> PromptTokens::Encode(const std::string& rendered) {
  if (!text_.empty() && rendered.size() > text_.size() && rendered.starts_with(text_)) {
    const std::vector<int32_t> rest = tokenizer_.Encode(std::string_view(rendered).substr(text_.size()),
                                                        {.add_special = false, .parse_special = true});
    if (!rest.empty() && tokenizer_.IsEndOfGeneration(rest.front())) {
      tokens_.insert(tokens_.end(), rest.begin(), rest.end());
      text_ = rendered;
      return tokens_;
    }
  }
  tokens_ = EncodeRendered(tokenizer_, rendered);
  text_ = rendered;
  return tokens_;
}

void PromptTokens::Answered(std::string_view text, std::span<const int32_t> tokens) {
  const Result<std::string> decoded = tokenizer_.Decode(tokens);
  // Decoding a text on its own drops the space that SentencePiece puts before a first word.
  if (!decoded || (*decoded != text && " " + *decoded != text)) return;
  text_ += text;
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

void PromptTokens::Forget() {
  text_.clear();
  tokens_.clear();
}

}  // namespace kvasir::cli
