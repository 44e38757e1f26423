#include "server/chat_format.h"

#include <utility>
#include <vector>

#include "server/choices_format.h"
#include "server/tools/answer_reader.h"

namespace kvasir::server {
namespace {

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

// A choice of a stream.
struct Choice {
  AnswerReader reader;
  std::vector<TokenScores> scores;  // of tokens whose text is held back: they go with the next piece
};

class ChatFormat final : public ChoicesFormat {
 public:
  ChatFormat(const Model& model, GenerationOptions options)
      : ChoicesFormat(model, std::move(options), "chatcmpl-", "chat.completion", "chat.completion.chunk") {
    for (int i = 0; i < this->options().choices; ++i) {
      choices_.push_back({AnswerReader(this->options().tools, model.tools, this->options().thinking), {}});
    }
  }

  void Begin(std::string& out, const Work& /*work*/) override {
    for (size_t i = 0; i < choices_.size(); ++i) {
      Delta(out, i, {{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}}, nullptr);
    }
  }

  void Piece(std::string& out, size_t index, const Produced& fresh) override {
    Choice& choice = choices_[index];
    choice.scores.insert(choice.scores.end(), fresh.scores.begin(), fresh.scores.end());
    Events(out, index, choice.reader.Push(fresh.text));
  }

  void End(std::string& out, size_t index, const Completion& end) override {
    Choice& choice = choices_[index];
    Events(out, index, choice.reader.Finish());
    Delta(out, index, Json::object(), FinishOf(end.generation, choice.reader.calls() > 0));
  }

 private:
  static const char* FinishOf(const Generation& generation, bool calls) {
    return calls && generation.reason == FinishReason::kStop ? "tool_calls" : FinishName(generation.reason);
  }

  void Events(std::string& out, size_t index, const CallEvents& events) {
    int call = choices_[index].reader.calls() - 1;  // of the last event, if it belongs to one
    for (const CallEvent& event : events) call -= event.kind == CallEvent::Kind::kBegin ? 1 : 0;
    for (const CallEvent& event : events) {
      switch (event.kind) {
        case CallEvent::Kind::kThought: Delta(out, index, {{"reasoning_content", event.text}}, nullptr); break;
        case CallEvent::Kind::kContent: Delta(out, index, {{"content", event.text}}, nullptr); break;
        case CallEvent::Kind::kBegin:
          CallDelta(out, index,
                    {{"index", ++call},
                     {"id", NewId("call_")},
                     {"type", "function"},
                     {"function", {{"name", event.text}, {"arguments", ""}}}});
          break;
        case CallEvent::Kind::kArguments:
          CallDelta(out, index, {{"index", call}, {"function", {{"arguments", event.text}}}});
          break;
        case CallEvent::Kind::kEnd: break;
      }
    }
  }

  [[nodiscard]] Json WholeChoice(size_t index, const Generation& generation) const override {
    AnswerParts parts = ReadAnswer(generation.text, options().tools, model().tools, options().thinking);
    Json message = {{"role", "assistant"}, {"content", std::move(parts.text)}, {"refusal", nullptr}};
    if (!parts.thoughts.empty()) message["reasoning_content"] = std::move(parts.thoughts);
    if (!parts.calls.empty()) {
      if (message["content"] == "") message["content"] = nullptr;
      message["tool_calls"] = Json::array();
      for (ToolCall& call : parts.calls) {
        message["tool_calls"].push_back(
            {{"id", NewId("call_")},
             {"type", "function"},
             {"function", {{"name", std::move(call.name)}, {"arguments", std::move(call.arguments)}}}});
      }
    }
    return {{"index", index}, {"message", std::move(message)}};
  }

  [[nodiscard]] const char* WholeFinish(const Generation& generation, const Json& choice) const override {
    return FinishOf(generation, choice["message"].contains("tool_calls"));
  }

  [[nodiscard]] Json WholeLogprobs(size_t /*index*/, const Generation& generation) const override {
    return LogprobsJson(model().engine->tokenizer(), generation.scores);
  }

  void CallDelta(std::string& out, size_t index, Json call) {
    Delta(out, index, {{"tool_calls", Json::array({std::move(call)})}}, nullptr);
  }

  void Delta(std::string& out, size_t index, Json delta, const char* finish) {
    const std::vector<TokenScores> scores = std::exchange(choices_[index].scores, {});
    Json logprobs;
    if (!scores.empty()) logprobs = LogprobsJson(model().engine->tokenizer(), scores);
    Chunk(out, {{"index", index}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}}, finish);
  }

  std::vector<Choice> choices_;
};

}  // namespace

std::unique_ptr<AnswerFormat> MakeChatFormat(const Model& model, GenerationOptions options) {
  return std::make_unique<ChatFormat>(model, std::move(options));
}

}  // namespace kvasir::server
