// A message is a list of blocks: texts and uses of tools. A stream opens it, opens, fills and closes each block, and
// says at the end why it ended and what it took. Anthropic counts the tokens of a prompt that were cached apart from
// the others, but a stream begins before that is known: its first event counts them all as not cached, its last but one
// tells.
#include "server/messages_format.h"

#include <fmt/format.h>

#include <utility>

#include "server/tools/answer_reader.h"

namespace kvasir::server {
namespace {

Json MessageUsage(const Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens - usage.cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.cached_tokens},
          {"output_tokens", usage.completion_tokens}};
}

// Signatures let Anthropic check that thoughts come back unchanged; this server reads them as they come.
Json ThinkingBlock(const std::string& thoughts) {
  return {{"type", "thinking"}, {"thinking", thoughts}, {"signature", ""}};
}

class MessagesFormat final : public AnswerFormat {
 public:
  MessagesFormat(const Model& model, GenerationOptions options)
      : model_(model),
        options_(std::move(options)),
        id_(NewId("msg_")),
        reader_(options_.tools, model.tools, options_.thinking) {}

  void Begin(std::string& out, const Work& work) override {
    Usage usage = work.TokenUsage();
    usage.cached_tokens = usage.completion_tokens = 0;
    Event(out, "message_start", {{"message", Message(Json::array(), nullptr, nullptr, usage)}});
    out += Ping();
  }

  void Piece(std::string& out, size_t /*choice*/, const Produced& fresh) override {
    for (const CallEvent& event : reader_.Push(fresh.text)) Write(out, event);
  }

  void End(std::string& out, size_t /*choice*/, const Completion& end) override {
    for (const CallEvent& event : reader_.Finish()) Write(out, event);
    CloseBlock(out);
    reason_ = StopReason(end.generation, reader_.calls() > 0);
    if (!end.generation.stop_match.empty()) stop_sequence_ = end.generation.stop_match;
  }

  void Last(std::string& out, const Work& work) override {
    Json event = {{"delta", {{"stop_reason", reason_}, {"stop_sequence", stop_sequence_}}},
                  {"usage", MessageUsage(work.TokenUsage())}};
    if (options_.cache_explain) event["cache"] = work.CacheJson();
    Event(out, "message_delta", event);
    Event(out, "message_stop", Json::object());
  }

  void Break(std::string& out, const ApiError& error) override {
    AppendEvent(out, ErrorJson(error, ErrorStyle::kAnthropic), "error");
  }

  [[nodiscard]] std::string Ping() const override {
    std::string out;
    AppendEvent(out, {{"type", "ping"}}, "ping");
    return out;
  }

  [[nodiscard]] HttpResponse Failure(const ApiError& error) override {
    return ErrorResponse(error, ErrorStyle::kAnthropic);
  }

  [[nodiscard]] Json Whole(const Work& work) override {
    const Generation& generation = work.End(0)->generation;
    const AnswerParts parts = ReadAnswer(generation.text, options_.tools, model_.tools, options_.thinking);
    Json content = Json::array();
    if (!parts.thoughts.empty()) content.push_back(ThinkingBlock(parts.thoughts));
    if (!parts.text.empty()) content.push_back({{"type", "text"}, {"text", parts.text}});
    bool used = false;
    for (const ToolCall& call : parts.calls) {
      Json input = ParseJson(call.arguments).value_or(nullptr);
      if (input.is_object()) {
        used = true;
        content.push_back(
            {{"type", "tool_use"}, {"id", NewId("toolu_")}, {"name", call.name}, {"input", std::move(input)}});
      } else {  // cut off, or no JSON: there is no input that could be given
        content.push_back({{"type", "text"}, {"text", fmt::format("{}({})", call.name, call.arguments)}});
      }
    }
    const Json stop = generation.stop_match.empty() ? Json(nullptr) : Json(generation.stop_match);
    Json message = Message(std::move(content), StopReason(generation, used), stop, work.TokenUsage());
    if (options_.cache_explain) message["cache"] = work.CacheJson();
    return message;
  }

 private:
  static const char* StopReason(const Generation& generation, bool used) {
    switch (generation.reason) {
      case FinishReason::kStop:
        if (!generation.stop_match.empty()) return "stop_sequence";
        return used ? "tool_use" : "end_turn";
      case FinishReason::kLength: return "max_tokens";
      case FinishReason::kCancelled:
      case FinishReason::kDeadline: break;
    }
    return FinishName(generation.reason);
  }

  [[nodiscard]] Json Message(Json content, Json reason, Json stop_sequence, const Usage& usage) const {
    return {{"id", id_},
            {"type", "message"},
            {"role", "assistant"},
            {"model", model_.id},
            {"content", std::move(content)},
            {"stop_reason", std::move(reason)},
            {"stop_sequence", std::move(stop_sequence)},
            {"usage", MessageUsage(usage)}};
  }

  void Write(std::string& out, const CallEvent& event) {
    switch (event.kind) {
      case CallEvent::Kind::kThought:
        OpenAs(out, "thinking", ThinkingBlock(""));
        Delta(out, {{"type", "thinking_delta"}, {"thinking", event.text}});
        break;
      case CallEvent::Kind::kContent:
        OpenAs(out, "text", {{"type", "text"}, {"text", ""}});
        Delta(out, {{"type", "text_delta"}, {"text", event.text}});
        break;
      case CallEvent::Kind::kBegin:
        CloseBlock(out);
        OpenAs(out, "tool_use",
               {{"type", "tool_use"}, {"id", NewId("toolu_")}, {"name", event.text}, {"input", Json::object()}});
        break;
      case CallEvent::Kind::kArguments: Delta(out, {{"type", "input_json_delta"}, {"partial_json", event.text}}); break;
      case CallEvent::Kind::kEnd: CloseBlock(out); break;
    }
  }

  // Opens a block, unless one of this type is open already; one of another type is closed.
  void OpenAs(std::string& out, std::string_view type, Json block) {
    if (open_ == type) return;
    CloseBlock(out);
    Event(out, "content_block_start", {{"index", blocks_}, {"content_block", std::move(block)}});
    open_ = type;
  }

  void Delta(std::string& out, Json delta) const {
    Event(out, "content_block_delta", {{"index", blocks_}, {"delta", std::move(delta)}});
  }

  void CloseBlock(std::string& out) {
    if (open_.empty()) return;
    open_ = {};
    Event(out, "content_block_stop", {{"index", blocks_}});
    ++blocks_;
  }

  static void Event(std::string& out, const char* name, const Json& members) {
    Json event = {{"type", name}};
    event.update(members);
    AppendEvent(out, event, name);
  }

  const Model& model_;
  GenerationOptions options_;
  std::string id_;
  AnswerReader reader_;
  int blocks_ = 0;         // that are complete
  std::string_view open_;  // the type of the block that is open; empty: none
  Json reason_;
  Json stop_sequence_;
};

}  // namespace

std::unique_ptr<AnswerFormat> MakeMessagesFormat(const Model& model, GenerationOptions options) {
  return std::make_unique<MessagesFormat>(model, std::move(options));
}

}  // namespace kvasir::server
