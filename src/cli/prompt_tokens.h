// From messages to the tokens of a prompt.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/conversation.h"
#include "kvasir/chat_template.h"
#include "kvasir/tokenizer.h"

namespace kvasir::cli {

/// The text that the template makes of `messages`, ready for the answer. Fails if a message is not UTF-8.
[[nodiscard]] Result<std::string> RenderMessages(const ChatTemplate& chat_template,
                                                 const std::vector<Message>& messages);

/// Encodes a rendered template. Most templates write the beginning-of-text token themselves; where a model wants one
/// and the template has none, it is added, so there is exactly one.
[[nodiscard]] std::vector<int32_t> EncodeRendered(const Tokenizer& tokenizer, std::string_view rendered);

/// Encodes the growing text of a conversation so that what the model has computed stays a prefix of it.
///
/// The tokens that a model generated need not be those that encoding its answer would give (" in" + "to" for " into").
/// Encoding the whole conversation anew would then differ from the cache somewhere in the first answer, and all after
/// that place would be computed again. So the answer's own tokens are kept, and only what follows is encoded; that is
/// safe where it begins with a special token, because no token reaches across one.
class PromptTokens {
 public:
  explicit PromptTokens(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  [[nodiscard]] std::vector<int32_t> Encode(const std::string& rendered);
  /// Notes what was generated after the last Encode. Without effect where `text` is not exactly what the tokens stand
  /// for: after a stop string, or half a character.
  void Answered(std::string_view text, std::span<const int32_t> tokens);
  void Forget();

 private:
  const Tokenizer& tokenizer_;
  std::string text_;  // what tokens_ stand for
  std::vector<int32_t> tokens_;
};

}  // namespace kvasir::cli
