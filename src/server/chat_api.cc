// POST /v1/chat/completions, in OpenAI's words (serving.md D1, D2, D5).
#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "server/chat_prompt.h"
#include "server/choices_format.h"
#include "server/fields.h"
#include "server/routes.h"
#include "server/work.h"

namespace kvasir::server {
namespace {

constexpr int kMostTopLogprobs = 20;

Json BytesJson(const std::string& bytes) {
  Json numbers = Json::array();
  for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
  return numbers;
}

Json TokenJson(const Tokenizer& tokenizer, const ScoredToken& token) {
  const std::string piece = tokenizer.Piece(token.token);
  return {{"token", piece}, {"logprob", FiniteLogprob(token.logprob)}, {"bytes", BytesJson(piece)}};
}

Json LogprobsJson(const Tokenizer& tokenizer, const std::vector<TokenScores>& scores) {
  Json content = Json::array();
  for (const TokenScores& score : scores) {
    Json entry = TokenJson(tokenizer, score.chosen);
    entry["top_logprobs"] = Json::array();
    for (const ScoredToken& other : score.top) entry["top_logprobs"].push_back(TokenJson(tokenizer, other));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

class ChatFormat final : public ChoicesFormat {
 public:
  ChatFormat(const Model& model, GenerationOptions options)
      : ChoicesFormat(model, std::move(options), "chatcmpl-", "chat.completion", "chat.completion.chunk") {}

  void Begin(std::string& out) override {
    for (int i = 0; i < options().choices; ++i) {
      Delta(out, static_cast<size_t>(i), {{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}, nullptr);
    }
  }

  void Piece(std::string& out, size_t choice, const Produced& fresh) override {
    Json logprobs;
    if (options().logprobs) logprobs = LogprobsJson(model().engine->tokenizer(), fresh.scores);
    Delta(out, choice, {{"content", fresh.text}}, nullptr, logprobs);
  }

  void End(std::string& out, size_t choice, const Completion& end) override {
    Delta(out, choice, Json::object(), FinishName(end.generation.reason));
  }

 private:
  [[nodiscard]] Json WholeChoice(size_t index, const Generation& generation) const override {
    return {{"index", index}, {"message", {{"role", "assistant"}, {"content", generation.text}, {"refusal", nullptr}}}};
  }

  [[nodiscard]] Json WholeLogprobs(size_t /*index*/, const Generation& generation) const override {
    return LogprobsJson(model().engine->tokenizer(), generation.scores);
  }

  void Delta(std::string& out, size_t index, Json delta, const char* finish, Json logprobs = nullptr) const {
    Chunk(out, {{"index", index}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}}, finish);
  }
};

void ReadChatLimits(Fields& fields, GenerationOptions& options) {
  const auto tokens = fields.Integer("max_completion_tokens", 1, INT32_MAX);
  const auto old_tokens = fields.Integer("max_tokens", 1, INT32_MAX);
  if (tokens && old_tokens && *tokens != *old_tokens) {
    fields.Problem("max_tokens", "differs from max_completion_tokens, which is its new name; give one of them");
  }
  if (tokens || old_tokens) options.max_tokens = static_cast<int>(tokens ? *tokens : *old_tokens);
  options.logprobs = fields.Bool("logprobs").value_or(false);
  const auto top = fields.Integer("top_logprobs", 0, kMostTopLogprobs);
  if (top && !options.logprobs) fields.Problem("top_logprobs", "needs logprobs to be true");
  options.sampling.n_probs = static_cast<int32_t>(top.value_or(0));
}

// Members whose other values this server cannot honour; it says so instead of ignoring them.
void ReadUnsupported(Fields& fields) {
  if (const Json* format = fields.Object("response_format")) {
    const auto type = format->find("type");
    if (type == format->end() || *type != "text") {
      fields.Problem("response_format.type", "must be \"text\": answers in a given format are not supported");
    }
  }
  if (const Json* tools = fields.Array("tools"); tools != nullptr && !tools->empty()) {
    fields.Problem("tools", "must be empty: tools are not supported");
  }
  const Json* choice = fields.Any("tool_choice");
  if (choice != nullptr && *choice != "none" && *choice != "auto") {
    fields.Problem("tool_choice", fmt::format("is {}, but there are no tools", Shown(*choice)));
  }
  (void)fields.Bool("parallel_tool_calls");
  if (const Json* modalities = fields.Array("modalities");
      modalities != nullptr && *modalities != Json::array({"text"})) {
    fields.Problem("modalities", "must be [\"text\"]");
  }
}

}  // namespace

Handled HandleChat(const Call& call) {
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  GenerationOptions options = ReadGeneration(fields, call);
  ReadChatLimits(fields, options);
  ReadUnsupported(fields);
  const Json conversation = ReadConversation(fields);
  KV_TRY(fields.Finish());
  KV_ASSIGN(auto work, SubmitConversation(call, options, conversation));
  const bool stream = options.stream;
  return MakeAnswer(std::move(work), std::make_unique<ChatFormat>(*call.model, std::move(options)), stream);
}

}  // namespace kvasir::server
