// gpt-oss. An answer is a row of messages, each in a channel: thoughts in "analysis", calls and what is said before
// them in "commentary", the answer itself in "final". A call is a message to a function.
//
//   <|channel|>analysis<|message|>They want ...<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather
//   <|constrain|>json<|message|>{"city": "Paris"}<|call|>
//
// The prompt ends with "<|start|>assistant". What has no header is text of the answer.
#include <algorithm>
#include <array>
#include <optional>

#include "base/check.h"
#include "server/tools/call_grammar.h"
#include "server/tools/cursor.h"
#include "server/tools/formats.h"

namespace kvasir::server {
namespace {

using Kind = CallEvent::Kind;

constexpr std::string_view kStart = "<|start|>";
constexpr std::string_view kChannel = "<|channel|>";
constexpr std::string_view kMessage = "<|message|>";
constexpr std::string_view kCall = "<|call|>";
constexpr std::string_view kRecipient = "to=";
constexpr std::string_view kFunctions = "to=functions.";
constexpr std::string_view kNextMessage = "<|start|>assistant";
constexpr auto kHeads = std::to_array<std::string_view>({kStart, kChannel, kRecipient});
constexpr auto kEnds = std::to_array<std::string_view>({"<|end|>", kCall, "<|return|>", kStart, kChannel});
constexpr size_t kLongestHead = 1024;

class HarmonyParser final : public AnswerParser {
 public:
  explicit HarmonyParser(std::vector<Tool> tools) : tools_(std::move(tools)) {}

  void Push(std::string_view text, CallEvents& out) override {
    held_ += text;
    while (state_ == State::kHead ? ReadHead(out) : ReadBody(out)) {
    }
  }

  void Finish(CallEvents& out) override {
    if (state_ == State::kBody) {
      EmitBody(held_.size(), out);
      EndBody(out);
    } else if (FindHead() != Seen::kYes && !Trimmed(held_).empty()) {
      Emit(out, Kind::kContent, held_);  // the beginning of a mark: text after all
    }
    held_.clear();
  }

 private:
  enum class State { kHead, kBody };

  // Whether the text goes on with a header, behind white space.
  [[nodiscard]] Seen FindHead() const {
    const auto first = std::find_if_not(held_.begin(), held_.end(), IsSpace);
    const std::string_view text(held_.data() + (first - held_.begin()), static_cast<size_t>(held_.end() - first));
    Seen seen = Seen::kNo;
    for (const std::string_view head : kHeads) {
      if (text.starts_with(head)) return Seen::kYes;
      if (head.starts_with(text)) seen = Seen::kPartly;
    }
    return seen;
  }

  // These return whether there is more to do with the text at hand.
  bool ReadHead(CallEvents& out) {
    const Seen seen = FindHead();
    if (seen == Seen::kPartly) return false;
    const size_t message = seen == Seen::kYes ? held_.find(kMessage) : std::string::npos;
    if (seen == Seen::kYes && message == std::string::npos && held_.size() < kLongestHead + kMessage.size()) {
      return false;
    }
    state_ = State::kBody;
    kind_ = Kind::kContent;
    if (message > kLongestHead) {  // none, or no header: what a text has instead
      if (seen == Seen::kYes) EmitBody(1, out);
      return true;
    }
    const std::string head = held_.substr(0, message);
    held_.erase(0, message + kMessage.size());
    if (head.contains("analysis")) kind_ = Kind::kThought;
    const size_t recipient = head.find(kRecipient);
    if (recipient == std::string::npos) return true;
    if (const auto name = FunctionAt(std::string_view(head).substr(recipient))) {
      kind_ = Kind::kArguments;
      Emit(out, Kind::kBegin, *name);
    } else {  // to nobody who is there: text, as it stands
      kind_ = Kind::kContent;
      Emit(out, Kind::kContent, head + std::string(kMessage));
    }
    return true;
  }

  [[nodiscard]] std::optional<std::string> FunctionAt(std::string_view text) const {
    if (!text.starts_with(kFunctions)) return std::nullopt;
    text.remove_prefix(kFunctions.size());
    const auto end = std::find_if_not(text.begin(), text.end(), IsNameCharacter);
    const std::string_view name = text.substr(0, static_cast<size_t>(end - text.begin()));
    const auto found = std::ranges::find_if(tools_, [&](const Tool& tool) { return tool.name == name; });
    return found == tools_.end() ? std::nullopt : std::optional(found->name);
  }

  bool ReadBody(CallEvents& out) {
    size_t end = std::string::npos;
    std::string_view mark;
    size_t hold = held_.size();
    for (const std::string_view candidate : kEnds) {
      const size_t at = held_.find(candidate);
      if (at < end) end = at, mark = candidate;
      hold = std::min(hold, held_.size() - OpenEnd(held_, candidate));
    }
    if (end == std::string::npos) {
      EmitBody(hold, out);
      return false;
    }
    EmitBody(end, out);
    EndBody(out);
    if (mark != kStart && mark != kChannel) held_.erase(0, mark.size());  // those begin the next header
    return true;
  }

  void EmitBody(size_t size, CallEvents& out) {
    Emit(out, kind_, std::string_view(held_).substr(0, size));
    held_.erase(0, size);
  }

  void EndBody(CallEvents& out) {
    if (kind_ == Kind::kArguments) Emit(out, Kind::kEnd, "");
    state_ = State::kHead;
  }

  std::vector<Tool> tools_;
  std::string held_;
  State state_ = State::kHead;
  Kind kind_ = Kind::kContent;  // of the body
};

class HarmonyFormat final : public CallFormat {
 public:
  HarmonyFormat() : CallFormat("harmony", {"<|channel|>", "<|start|>assistant"}) {}

  [[nodiscard]] bool reads_every_answer() const override { return true; }

  [[nodiscard]] std::unique_ptr<AnswerParser> NewParser(std::vector<Tool> tools) const override {
    return std::make_unique<HarmonyParser>(std::move(tools));
  }

  [[nodiscard]] std::string Write(std::span<const ToolCall> calls) const override {
    std::string text;
    for (const ToolCall& call : calls) {
      if (!text.empty()) text += kNextMessage;
      text += Head(call.name) + call.arguments + std::string(kCall);
    }
    return text;
  }

  // The mark that ends a call ends the answer, too, so it stands between calls only.
  [[nodiscard]] Result<Grammar> CallsGrammar(std::span<const Tool> tools, ArgumentRule rule, bool many,
                                             const Spelling& spelled) const override {
    std::vector<Grammar> calls;
    for (const Tool& tool : tools) {
      KV_ASSIGN(const Grammar arguments, ArgumentsGrammar(tool, rule));
      calls.push_back(Grammar::Sequence({spelled(Head(tool.name)), arguments}));
    }
    const Grammar between = spelled(std::string(kCall) + std::string(kNextMessage));
    return Grammar::Sequence({Thoughts(spelled), Listed(Grammar::Choice(calls), between, many)});
  }

  [[nodiscard]] Grammar TextAnswer(const Grammar& text, const Spelling& spelled) const override {
    return Grammar::Sequence({Thoughts(spelled), spelled("<|channel|>final<|message|>"), text});
  }

  [[nodiscard]] Grammar FreeAnswer(const Grammar& calls, const Spelling& spelled) const override {
    return Grammar::Choice({TextAnswer(Body(spelled), spelled), calls});
  }

  [[nodiscard]] std::vector<std::string> Markers() const override {
    return {"<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|constrain|>", "<|call|>", "<|return|>"};
  }
  [[nodiscard]] std::vector<std::string> OpeningMarkers() const override { return {"<|channel|>"}; }

 private:
  static std::string Head(const std::string& name) {
    return " to=functions." + name + "<|channel|>commentary json<|message|>";
  }

  [[nodiscard]] Grammar Body(const Spelling& spelled) const {
    std::vector<std::string> words = Markers();
    std::erase_if(words, [&](const std::string& word) { return spelled.IsControlToken(word); });
    return Grammar::TextWithout(words);
  }

  [[nodiscard]] Grammar Thoughts(const Spelling& spelled) const {
    const Grammar thoughts = Grammar::Sequence(
        {spelled("<|channel|>analysis<|message|>"), Body(spelled), spelled("<|end|><|start|>assistant")});
    return Grammar::Choice({EmptyText(), thoughts});
  }
};

}  // namespace

std::unique_ptr<CallFormat> MakeHarmonyFormat() {
  return std::make_unique<HarmonyFormat>();
}

}  // namespace kvasir::server
