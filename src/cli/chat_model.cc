// When a conversation outgrows the context.
//
// The prompt must leave room for an answer. Dropping the oldest message each turn would move every later token to a new
// position, and all of them would be computed again in every turn. So when the prompt no longer fits, turns are dropped
// until it fills half of the context: that is one long computation, and then many turns without one. An answer that
// itself runs into the end of the context goes on by the engine's context shift.
#include "cli/chat_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace kvasir::cli {
namespace {

// Tokens kept free for the answer: a quarter of the context, at most this many.
constexpr int kRoomForAnswer = 512;

}  // namespace

Result<std::unique_ptr<ChatModel>> ChatModel::Create(Engine& engine, const GenerationOptions& options) {
  KV_TRY(Validate(options.sampling, engine.info().vocabulary));
  auto chat = std::unique_ptr<ChatModel>(new ChatModel(engine, options));
  const auto chat_template = engine.chat_template();
  if (chat_template && !options.raw) chat->template_ = *chat_template;
  KV_ASSIGN(chat->session_, engine.NewSession());
  if (!options.system.empty()) KV_TRY(chat->SetSystem(options.system));
  return chat;
}

std::string ChatModel::system() const {
  return !messages_.empty() && messages_.front().role == "system" ? messages_.front().content : "";
}

size_t ChatModel::first_turn() const {
  return !messages_.empty() && messages_.front().role == "system" ? 1 : 0;
}

Status ChatModel::SetSystem(std::string text) {
  if (!has_template()) {
    return Fail(ErrorCode::kInvalidArgument, "a system message needs a chat template, and there is none in use");
  }
  messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(first_turn()));
  if (!text.empty()) messages_.insert(messages_.begin(), {"system", std::move(text)});
  return {};
}

void ChatModel::Reset() {
  messages_.resize(first_turn());
  session_->Reset();
  tokens_.Forget();
  forgotten_ = 0;
}

Status ChatModel::SetMessages(std::vector<Message> messages) {
  if (!has_template() && !messages.empty() && messages.front().role == "system") {
    return Fail(ErrorCode::kInvalidArgument, "it has a system message, which needs a chat template");
  }
  Reset();
  messages_ = std::move(messages);
  return {};
}

bool ChatModel::TakeBackAnswer() {
  if (messages_.empty() || messages_.back().role != "assistant") return false;
  messages_.pop_back();
  return true;
}

// The prompt without the `forgotten` oldest turns.
Result<std::vector<int32_t>> ChatModel::Encode(size_t forgotten) {
  const auto turns = static_cast<std::ptrdiff_t>(first_turn());
  std::vector<Message> seen(messages_.begin(), messages_.begin() + turns);
  seen.insert(seen.end(), messages_.begin() + turns + static_cast<std::ptrdiff_t>(forgotten), messages_.end());
  if (has_template()) {
    KV_ASSIGN(const std::string rendered, RenderMessages(*template_, seen));
    return tokens_.Encode(rendered);
  }
  std::string text;
  for (size_t i = 0; i < seen.size(); ++i) {
    if (i > 0 && seen[i].role == "user") text += '\n';
    text += seen[i].content;
  }
  return engine_.tokenizer().Encode(text);
}

Result<std::vector<int32_t>> ChatModel::FitContext() {
  const int context = engine_.options().context_tokens;
  const auto room = static_cast<size_t>(context - std::min(kRoomForAnswer, context / 4));
  const size_t turns = messages_.size() - first_turn();
  auto forgotten = static_cast<size_t>(forgotten_);
  KV_ASSIGN(std::vector<int32_t> prompt, Encode(forgotten));
  if (prompt.size() > room) {
    // Whole exchanges go, so that the first message seen is again the user's.
    while (prompt.size() > static_cast<size_t>(context) / 2 && forgotten + 2 < turns) {
      do {
        ++forgotten;
      } while (forgotten + 1 < turns && messages_[first_turn() + forgotten].role != "user");
      KV_ASSIGN(prompt, Encode(forgotten));
    }
  }
  if (prompt.size() >= static_cast<size_t>(context)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("this message makes a prompt of {} tokens, but the context holds {}; shorten it, or start "
                            "with a larger --ctx",
                            prompt.size(), context));
  }
  forgotten_ = static_cast<int>(forgotten);
  return prompt;
}

Result<Generation> ChatModel::Answer(const Callbacks& callbacks) {
  Request request;
  KV_ASSIGN(request.prompt, FitContext());
  request.max_tokens = options_.MaxTokens(/*continuation=*/!has_template());
  request.sampling = options_.sampling;
  if (request.sampling.seed) *request.sampling.seed += variation_;
  request.stop = options_.stop;
  KV_ASSIGN(request.constraint, ConstraintOf(engine_, options_));
  request.context_full = ContextFull::kShift;
  request.cancel = callbacks.cancel;
  request.on_token = [&](const TokenEvent& event) { return callbacks.on_text(event.text); };
  request.on_prompt = [&](int done, int total) {
    if (callbacks.on_prompt) callbacks.on_prompt(done, total);
    return true;
  };
  KV_ASSIGN(Generation answer, session_->Generate(request));
  tokens_.Answered(answer.text, answer.tokens);
  return answer;
}

Result<Generation> ChatModel::Say(std::string text, const Callbacks& callbacks) {
  variation_ = 0;
  messages_.push_back({"user", std::move(text)});
  Result<Generation> answer = Answer(callbacks);
  if (!answer || (answer->reason == FinishReason::kCancelled && answer->tokens.empty())) {
    messages_.pop_back();
  } else {
    messages_.push_back({"assistant", answer->text});
  }
  return answer;
}

Result<Generation> ChatModel::Regenerate(const Callbacks& callbacks) {
  if (messages_.empty() || messages_.back().role != "user") {
    return Fail(ErrorCode::kInvalidArgument, "there is no message to answer yet");
  }
  ++variation_;
  Result<Generation> answer = Answer(callbacks);
  if (answer) messages_.push_back({"assistant", answer->text});
  return answer;
}

}  // namespace kvasir::cli
