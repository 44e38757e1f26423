#include "server/tools/named_calls.h"

#include "base/check.h"
#include "server/tools/call_parser.h"

namespace kvasir::server {
namespace {

using Kind = CallEvent::Kind;

// Of what may stand between a name and what ends it: a number, an id.
constexpr size_t kLongestSuffix = 64;

class NamedCallParser final : public CallParser {
 public:
  NamedCallParser(const NamedCallStyle& style, std::vector<Tool> tools)
      : CallParser(Openings(style), std::move(tools)), style_(style) {}

 private:
  enum class State { kArguments, kClose, kBetween };

  static std::vector<Opening> Openings(const NamedCallStyle& style) {
    std::vector<Opening> openings = {{style.open}};
    if (!style.section_open.empty()) openings.push_back({style.section_open});
    return openings;
  }

  Seen Open(Cursor& text, CallEvents& out) override {
    if (!style_.section_open.empty() && text.Literal(style_.section_open)) text.Space();
    if (!text.Literal(style_.open) || !text.Words(style_.name_prefix)) return text.outcome();
    text.Space();
    const auto name = text.Name(tools());
    if (!name) return text.outcome();
    const std::string name_end = Trimmed(style_.name_end);
    const auto suffix = text.Until(name_end);
    if (!suffix && text.rest().size() <= kLongestSuffix + name_end.size()) return text.outcome();
    if (!suffix || suffix->size() > kLongestSuffix) return Seen::kNo;
    text.Space();
    if (!text.Peek('{')) return text.outcome();
    Emit(out, Kind::kBegin, *name);
    state_ = State::kArguments;
    scanner_ = ValueScanner();
    return Seen::kYes;
  }

  Seen Continue(Cursor& text, CallEvents& out) override {
    if (state_ == State::kArguments) {
      const std::string_view rest = text.rest();
      const size_t size = scanner_.Take(rest);
      Emit(out, Kind::kArguments, rest.substr(0, size));
      text.Skip(size);
      if (!scanner_.done()) return Seen::kPartly;
      state_ = State::kClose;
    }
    if (state_ == State::kClose) {
      if (!text.Words(Trimmed(style_.close)) && text.outcome() == Seen::kPartly) return Seen::kPartly;
      Emit(out, Kind::kEnd, "");  // a marker that is missing changes nothing
      state_ = State::kBetween;
    }
    if (style_.section_close.empty() || text.Words(style_.section_close)) return Seen::kNo;
    return text.outcome();
  }

  void CutOff(std::string_view rest, CallEvents& out) override {
    if (state_ == State::kArguments) Emit(out, Kind::kArguments, rest);
    if (state_ != State::kBetween) return Emit(out, Kind::kEnd, "");
    if (!style_.section_close.starts_with(Trimmed(rest))) Emit(out, Kind::kContent, rest);
  }

  const NamedCallStyle& style_;
  State state_ = State::kArguments;
  ValueScanner scanner_;
};

class NamedCallFormat final : public CallFormat {
 public:
  explicit NamedCallFormat(NamedCallStyle style) : CallFormat(style.name, style.signs), style_(std::move(style)) {}

  [[nodiscard]] std::unique_ptr<AnswerParser> NewParser(std::vector<Tool> tools) const override {
    return std::make_unique<NamedCallParser>(style_, std::move(tools));
  }

  [[nodiscard]] std::string Write(std::span<const ToolCall> calls) const override {
    std::string text = style_.section_open;
    for (size_t i = 0; i < calls.size(); ++i) {
      if (i > 0) text += style_.separator;
      text += style_.open + style_.name_prefix + calls[i].name + style_.name_suffix + style_.name_end +
              calls[i].arguments + style_.close;
    }
    return text + style_.section_close;
  }

  [[nodiscard]] Result<Grammar> CallsGrammar(std::span<const Tool> tools, ArgumentRule rule, bool many,
                                             const Spelling& spelled) const override {
    std::vector<Grammar> calls;
    for (const Tool& tool : tools) {
      KV_ASSIGN(const Grammar arguments, ArgumentsGrammar(tool, rule));
      const std::string head = style_.open + style_.name_prefix + tool.name + style_.name_suffix + style_.name_end;
      calls.push_back(Grammar::Sequence({spelled(head), arguments, spelled(style_.close)}));
    }
    return Grammar::Sequence({spelled(style_.section_open),
                              Listed(Grammar::Choice(calls), Grammar::Literal(style_.separator), many),
                              spelled(style_.section_close)});
  }

  [[nodiscard]] std::vector<std::string> OpeningMarkers() const override {
    if (style_.section_open.empty()) return {style_.open};
    return {style_.open, style_.section_open};
  }

  [[nodiscard]] std::vector<std::string> Markers() const override {
    std::vector<std::string> markers;
    for (const std::string* text :
         {&style_.section_open, &style_.section_close, &style_.open, &style_.name_end, &style_.close}) {
      if (!Trimmed(*text).empty()) markers.push_back(Trimmed(*text));
    }
    return markers;
  }

 private:
  NamedCallStyle style_;
};

}  // namespace

std::unique_ptr<CallFormat> NamedCalls(NamedCallStyle style) {
  return std::make_unique<NamedCallFormat>(std::move(style));
}

}  // namespace kvasir::server
