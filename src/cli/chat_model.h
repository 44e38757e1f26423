// A conversation with a loaded model, without any terminal.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/conversation.h"
#include "cli/generation_flags.h"
#include "cli/prompt_tokens.h"
#include "kvasir/engine.h"

namespace kvasir::cli {

/// Holds the messages, and answers them. The whole conversation is each answer's prompt; what the session has computed
/// of it before is not computed again. A conversation that outgrows the context loses its oldest messages from the
/// model's sight, never from the list.
class ChatModel {
 public:
  struct Callbacks {
    std::function<bool(std::string_view text)> on_text;
    std::function<void(int done, int total)> on_prompt;
    const std::atomic<bool>* cancel = nullptr;
  };

  /// Fails where `options` ask for a system message of a model without a chat template.
  [[nodiscard]] static Result<std::unique_ptr<ChatModel>> Create(Engine& engine, const GenerationOptions& options);

  /// Without a template, messages are joined to one text, which the model continues.
  [[nodiscard]] bool has_template() const { return template_ != nullptr; }
  [[nodiscard]] const std::vector<Message>& messages() const { return messages_; }
  /// The oldest messages, the system message apart, that the last answer's prompt did not hold any more.
  [[nodiscard]] int forgotten() const { return forgotten_; }
  [[nodiscard]] int tokens_in_cache() const { return session_->length(); }

  /// The system message, empty if there is none.
  [[nodiscard]] std::string system() const;
  /// Sets or (empty text) removes the system message. The rest of the conversation stays.
  [[nodiscard]] Status SetSystem(std::string text);
  /// Forgets all but the system message.
  void Reset();
  [[nodiscard]] Status SetMessages(std::vector<Message> messages);
  /// Takes back the last answer, so that Regenerate can give another. False if the last message is not an answer.
  [[nodiscard]] bool TakeBackAnswer();

  /// Adds `text` and the model's answer to the conversation. After an error, or if it is cancelled before the first
  /// token, the conversation is as it was.
  [[nodiscard]] Result<Generation> Say(std::string text, const Callbacks& callbacks);
  /// Answers the last message once more, with another seed.
  [[nodiscard]] Result<Generation> Regenerate(const Callbacks& callbacks);

 private:
  ChatModel(Engine& engine, GenerationOptions options)
      : engine_(engine), options_(std::move(options)), tokens_(engine.tokenizer()) {}

  [[nodiscard]] size_t first_turn() const;
  [[nodiscard]] Result<std::vector<int32_t>> Encode(size_t forgotten);
  [[nodiscard]] Result<std::vector<int32_t>> FitContext();
  [[nodiscard]] Result<Generation> Answer(const Callbacks& callbacks);

  Engine& engine_;
  GenerationOptions options_;
  const ChatTemplate* template_ = nullptr;
  std::unique_ptr<Session> session_;
  PromptTokens tokens_;
  std::vector<Message> messages_;
  int forgotten_ = 0;
  uint64_t variation_ = 0;  // added to a given seed by Regenerate
};

}  // namespace kvasir::cli
