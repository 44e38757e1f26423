// POST /v1/responses, OpenAI's newer words for a chat: the stateless part, text in and text out (serving.md D6).
//
// A stream is a sequence of named events, numbered from 0, in which each level (response, item, part) is opened before
// and closed after what it holds; the last event repeats the whole response.
#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "server/answer.h"
#include "server/chat_prompt.h"
#include "server/fields.h"
#include "server/routes.h"
#include "server/work.h"

namespace kvasir::server {
namespace {

Json ResponseUsage(const Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"output_tokens", usage.completion_tokens},
          {"output_tokens_details", {{"reasoning_tokens", 0}}},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

class ResponseFormat final : public AnswerFormat {
 public:
  ResponseFormat(const Model& model, GenerationOptions options, Json instructions)
      : model_(model),
        options_(std::move(options)),
        instructions_(std::move(instructions)),
        id_(NewId("resp_")),
        item_id_(NewId("msg_")),
        created_(Now()) {}

  void Begin(std::string& out) override {
    Event(out, "response.created", {{"response", Response("in_progress")}});
    Event(out, "response.in_progress", {{"response", Response("in_progress")}});
    Event(out, "response.output_item.added", {{"output_index", 0}, {"item", Item("in_progress", Json::array())}});
    Event(out, "response.content_part.added", InPart({{"part", Part("")}}));
  }

  void Piece(std::string& out, size_t /*choice*/, const Produced& fresh) override {
    text_ += fresh.text;
    Event(out, "response.output_text.delta", InPart({{"delta", fresh.text}, {"logprobs", Json::array()}}));
  }

  void End(std::string& out, size_t /*choice*/, const Completion& end) override {
    reason_ = end.generation.reason;
    Event(out, "response.output_text.done", InPart({{"text", text_}, {"logprobs", Json::array()}}));
    Event(out, "response.content_part.done", InPart({{"part", Part(text_)}}));
    Event(out, "response.output_item.done",
          {{"output_index", 0}, {"item", Item(Status(), Json::array({Part(text_)}))}});
  }

  void Last(std::string& out, const Work& work) override {
    Event(out, std::string("response.") + Status(), {{"response", Finished(work)}});
  }

  void Break(std::string& out, const ApiError& error) override {
    Json response = Response("failed");
    response["error"] = {{"code", "server_error"}, {"message", error.message}};
    Event(out, "response.failed", {{"response", std::move(response)}});
  }

  [[nodiscard]] Json Whole(const Work& work) override {
    const Generation& generation = work.End(0)->generation;
    text_ = generation.text;
    reason_ = generation.reason;
    return Finished(work);
  }

 private:
  [[nodiscard]] const char* Status() const { return reason_ == FinishReason::kStop ? "completed" : "incomplete"; }

  static Json Part(const std::string& text) {
    return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
  }

  [[nodiscard]] Json Item(const char* status, Json content) const {
    return {{"id", item_id_},
            {"type", "message"},
            {"status", status},
            {"role", "assistant"},
            {"content", std::move(content)}};
  }

  [[nodiscard]] Json InPart(const Json& members) const {
    Json event = {{"item_id", item_id_}, {"output_index", 0}, {"content_index", 0}};
    event.update(members);
    return event;
  }

  [[nodiscard]] Json Response(const char* status) const {
    return {{"id", id_},
            {"object", "response"},
            {"created_at", created_},
            {"status", status},
            {"error", nullptr},
            {"incomplete_details", nullptr},
            {"instructions", instructions_},
            {"max_output_tokens", options_.max_tokens < 0 ? Json(nullptr) : Json(options_.max_tokens)},
            {"model", model_.id},
            {"output", Json::array()},
            {"parallel_tool_calls", false},
            {"previous_response_id", nullptr},
            {"store", false},
            {"temperature", options_.sampling.temperature},
            {"text", {{"format", {{"type", "text"}}}}},
            {"tool_choice", "none"},
            {"tools", Json::array()},
            {"top_p", options_.sampling.top_p},
            {"truncation", "disabled"},
            {"usage", nullptr},
            {"metadata", Json::object()}};
  }

  [[nodiscard]] Json Finished(const Work& work) const {
    Json response = Response(Status());
    if (reason_ != FinishReason::kStop) {
      response["incomplete_details"] = {{"reason", reason_ == FinishReason::kLength ? "max_output_tokens" : "timeout"}};
    }
    response["output"].push_back(Item(Status(), Json::array({Part(text_)})));
    response["usage"] = ResponseUsage(work.TokenUsage());
    if (options_.cache_explain) response["cache"] = work.CacheJson();
    return response;
  }

  void Event(std::string& out, const std::string& name, const Json& members) {
    Json event = {{"type", name}, {"sequence_number", sequence_++}};
    event.update(members);
    AppendEvent(out, event, name);
  }

  const Model& model_;
  GenerationOptions options_;
  Json instructions_;
  std::string id_;
  std::string item_id_;
  int64_t created_;
  int sequence_ = 0;
  std::string text_;
  FinishReason reason_ = FinishReason::kStop;
};

// The input as a conversation: a text is a message of the user, the instructions come before everything.
Json ReadInput(Fields& fields, Json& instructions) {
  Json conversation = {{"messages", Json::array()}, {"add_generation_prompt", true}};
  if (const auto text = fields.Text("instructions")) {
    instructions = *text;
    conversation["messages"].push_back({{"role", "system"}, {"content", *text}});
  }
  const Json* input = fields.Any("input");
  if (input != nullptr && input->is_string()) {
    conversation["messages"].push_back({{"role", "user"}, {"content", *input}});
  } else {
    for (Json& message : ReadMessages(fields, "input")) conversation["messages"].push_back(std::move(message));
  }
  return conversation;
}

void ReadUnsupported(Fields& fields, const GenerationOptions& options) {
  if (options.choices != 1) fields.Problem("n", "must be 1");
  for (const char* name : {"previous_response_id", "conversation", "prompt"}) {
    if (fields.Has(name)) fields.Problem(name, "is not supported: give the whole conversation as input");
  }
  if (const Json* include = fields.Array("include"); include != nullptr && !include->empty()) {
    fields.Problem("include", "must be empty: there is nothing more to include");
  }
  if (const Json* reasoning = fields.Object("reasoning"); reasoning != nullptr && !reasoning->empty()) {
    fields.Problem("reasoning", "must be empty: how much a model thinks cannot be chosen");
  }
  if (fields.Bool("background").value_or(false)) fields.Problem("background", "must be false");
  if (const auto truncation = fields.Text("truncation"); truncation && *truncation != "disabled") {
    fields.Problem("truncation", "must be \"disabled\": nothing is cut off");
  }
  if (const Json* text = fields.Object("text"); text != nullptr && *text != Json({{"format", {{"type", "text"}}}})) {
    fields.Problem("text", "must be {\"format\": {\"type\": \"text\"}}");
  }
  if (const Json* tools = fields.Array("tools"); tools != nullptr && !tools->empty()) {
    fields.Problem("tools", "must be empty: tools are not supported");
  }
  const Json* choice = fields.Any("tool_choice");
  if (choice != nullptr && *choice != "none" && *choice != "auto") fields.Problem("tool_choice", "needs tools");
  (void)fields.Bool("parallel_tool_calls");
}

}  // namespace

Handled HandleResponses(const Call& call) {
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  GenerationOptions options = ReadGeneration(fields, call);
  if (const auto tokens = fields.Integer("max_output_tokens", 1, INT32_MAX))
    options.max_tokens = static_cast<int>(*tokens);
  ReadUnsupported(fields, options);
  Json instructions;
  const Json conversation = ReadInput(fields, instructions);
  KV_TRY(fields.Finish());
  KV_ASSIGN(auto work, SubmitConversation(call, options, conversation));
  const bool stream = options.stream;
  auto format = std::make_unique<ResponseFormat>(*call.model, std::move(options), std::move(instructions));
  return MakeAnswer(std::move(work), std::move(format), stream);
}

}  // namespace kvasir::server
