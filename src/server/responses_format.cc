// A response is a list of items: messages, which have parts, and calls of functions. A stream is a sequence of named
// events, numbered from 0, in which each level (response, item, part) is opened before and closed after what it holds;
// the last event repeats the whole response. A response that is not streamed is built by the same events, which nobody
// gets to see.
#include "server/responses_format.h"

#include <utility>

#include "server/tools/answer_reader.h"

namespace kvasir::server {
namespace {

Json ResponseUsage(const Usage& usage, size_t reasoning_tokens) {
  return {{"input_tokens", usage.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"output_tokens", usage.completion_tokens},
          {"output_tokens_details", {{"reasoning_tokens", reasoning_tokens}}},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

Json ToolsJson(const ToolOptions& options) {
  Json tools = Json::array();
  for (const Tool& tool : options.tools) {
    tools.push_back({{"type", "function"},
                     {"name", tool.name},
                     {"description", tool.description},
                     {"parameters", tool.parameters},
                     {"strict", tool.strict}});
  }
  return tools;
}

Json ToolChoiceJson(const ToolOptions& options) {
  if (!options.offered()) return "none";
  if (options.use == ToolUse::kMaybe) return "auto";
  if (options.only.empty()) return "required";
  return {{"type", "function"}, {"name", options.only}};
}

Json TextPart(const std::string& text) {
  return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
}

Json ReasoningPart(const std::string& text) {
  return {{"type", "reasoning_text"}, {"text", text}};
}

class ResponseFormat final : public AnswerFormat {
 public:
  ResponseFormat(const Model& model, GenerationOptions options, Json instructions)
      : model_(model),
        options_(std::move(options)),
        instructions_(std::move(instructions)),
        id_(NewId("resp_")),
        created_(Now()),
        reader_(options_.tools, model.tools, options_.thinking) {}

  void Begin(std::string& out, const Work& /*work*/) override {
    Event(out, "response.created", {{"response", Response("in_progress")}});
    Event(out, "response.in_progress", {{"response", Response("in_progress")}});
  }

  void Piece(std::string& out, size_t /*choice*/, const Produced& fresh) override {
    for (const CallEvent& event : reader_.Push(fresh.text)) Write(out, event);
  }

  void End(std::string& out, size_t /*choice*/, const Completion& end) override {
    reason_ = end.generation.reason;
    for (const CallEvent& event : reader_.Finish()) Write(out, event);
    if (output_.empty() && open_ == nullptr) OpenMessage(out);  // there is always an answer, even if it says nothing
    CloseText(out);
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
    std::string unseen;
    const Completion& end = *work.End(0);
    Piece(unseen, 0, {.text = end.generation.text, .scores = {}, .tokens = 0, .finished = true});
    End(unseen, 0, end);
    return Finished(work);
  }

 private:
  [[nodiscard]] const char* Status() const { return reason_ == FinishReason::kStop ? "completed" : "incomplete"; }

  void Write(std::string& out, const CallEvent& event) {
    switch (event.kind) {
      case CallEvent::Kind::kThought:
        if (!Has("reasoning")) OpenReasoning(out);
        text_ += event.text;
        Event(out, "response.reasoning_text.delta", InPart({{"delta", event.text}}));
        break;
      case CallEvent::Kind::kContent:
        if (!Has("message")) OpenMessage(out);
        text_ += event.text;
        Event(out, "response.output_text.delta", InPart({{"delta", event.text}, {"logprobs", Json::array()}}));
        break;
      case CallEvent::Kind::kBegin:
        CloseText(out);
        OpenCall(out, event.text);
        break;
      case CallEvent::Kind::kArguments:
        text_ += event.text;
        Event(out, "response.function_call_arguments.delta", InItem({{"delta", event.text}}));
        break;
      case CallEvent::Kind::kEnd: CloseCall(out); break;
    }
  }

  [[nodiscard]] bool Has(const char* type) const { return open_ != nullptr && open_["type"] == type; }

  void OpenReasoning(std::string& out) {
    CloseText(out);
    open_ = {{"id", NewId("rs_")},
             {"type", "reasoning"},
             {"status", "in_progress"},
             {"summary", Json::array()},
             {"content", Json::array()}};
    Event(out, "response.output_item.added", {{"output_index", output_.size()}, {"item", open_}});
    Event(out, "response.content_part.added", InPart({{"part", ReasoningPart("")}}));
  }

  void OpenMessage(std::string& out) {
    CloseText(out);
    open_ = {{"id", NewId("msg_")},
             {"type", "message"},
             {"status", "in_progress"},
             {"role", "assistant"},
             {"content", Json::array()}};
    Event(out, "response.output_item.added", {{"output_index", output_.size()}, {"item", open_}});
    Event(out, "response.content_part.added", InPart({{"part", TextPart("")}}));
  }

  // Closes what is open, a message or thoughts, if anything is.
  void CloseText(std::string& out) {
    if (Has("message")) CloseMessage(out);
    if (Has("reasoning")) CloseReasoning(out);
  }

  void CloseReasoning(std::string& out) {
    // Thoughts come as text; their tokens are counted as the tokenizer divides it.
    thought_tokens_ += model_.engine->tokenizer().Encode(text_, {.add_special = false, .parse_special = false}).size();
    Event(out, "response.reasoning_text.done", InPart({{"text", text_}}));
    Event(out, "response.content_part.done", InPart({{"part", ReasoningPart(text_)}}));
    open_["content"].push_back(ReasoningPart(text_));
    CloseItem(out);
  }

  void CloseMessage(std::string& out) {
    Event(out, "response.output_text.done", InPart({{"text", text_}, {"logprobs", Json::array()}}));
    Event(out, "response.content_part.done", InPart({{"part", TextPart(text_)}}));
    open_["content"].push_back(TextPart(text_));
    CloseItem(out);
  }

  void OpenCall(std::string& out, const std::string& name) {
    open_ = {{"id", NewId("fc_")}, {"type", "function_call"}, {"status", "in_progress"}, {"call_id", NewId("call_")},
             {"name", name},       {"arguments", ""}};
    Event(out, "response.output_item.added", {{"output_index", output_.size()}, {"item", open_}});
  }

  void CloseCall(std::string& out) {
    Event(out, "response.function_call_arguments.done", InItem({{"name", open_["name"]}, {"arguments", text_}}));
    open_["arguments"] = text_;
    CloseItem(out);
  }

  void CloseItem(std::string& out) {
    open_["status"] = Status();
    Event(out, "response.output_item.done", {{"output_index", output_.size()}, {"item", open_}});
    output_.push_back(std::exchange(open_, nullptr));
    text_.clear();
  }

  [[nodiscard]] Json InItem(const Json& members) const {
    Json event = {{"item_id", open_["id"]}, {"output_index", output_.size()}};
    event.update(members);
    return event;
  }

  [[nodiscard]] Json InPart(const Json& members) const {
    Json event = InItem({{"content_index", 0}});
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
            {"parallel_tool_calls", options_.tools.offered() && options_.tools.parallel},
            {"previous_response_id", nullptr},
            {"store", false},
            {"temperature", options_.sampling.temperature},
            {"text", {{"format", options_.text_format}}},
            {"tool_choice", ToolChoiceJson(options_.tools)},
            {"tools", ToolsJson(options_.tools)},
            {"top_p", options_.sampling.top_p},
            {"truncation", "disabled"},
            {"usage", nullptr},
            {"metadata", options_.metadata}};
  }

  [[nodiscard]] Json Finished(const Work& work) const {
    Json response = Response(Status());
    if (reason_ != FinishReason::kStop) {
      response["incomplete_details"] = {{"reason", reason_ == FinishReason::kLength ? "max_output_tokens" : "timeout"}};
    }
    response["output"] = output_;
    response["usage"] = ResponseUsage(work.TokenUsage(), thought_tokens_);
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
  int64_t created_;
  int sequence_ = 0;
  AnswerReader reader_;
  Json output_ = Json::array();  // the items that are complete
  Json open_;                    // the item that is not; null: none
  std::string text_;             // its text or arguments
  size_t thought_tokens_ = 0;
  FinishReason reason_ = FinishReason::kStop;
};

}  // namespace

std::unique_ptr<AnswerFormat> MakeResponseFormat(const Model& model, GenerationOptions options, Json instructions) {
  return std::make_unique<ResponseFormat>(model, std::move(options), std::move(instructions));
}

}  // namespace kvasir::server
