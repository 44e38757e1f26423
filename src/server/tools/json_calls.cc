// Members are taken in any order and under either of the names that models mix up ("arguments", "parameters"); unknown
// ones, such as ids, are read over. A single object is taken where a list is usual, and the other way round. What is
// strict is the name: without that of a tool there is no call.
#include "server/tools/json_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "server/tools/call_parser.h"

namespace kvasir::server {
namespace {

using Kind = CallEvent::Kind;

class JsonCallParser final : public CallParser {
 public:
  JsonCallParser(const JsonCallStyle& style, std::vector<std::string> markers, std::vector<Tool> tools)
      : CallParser(Openings(style, markers), std::move(tools)),
        markers_(std::move(markers)),
        close_(Trimmed(style.close)),
        separator_(Trimmed(style.separator)),
        named_by_key_(style.name_member.empty()) {}

 private:
  enum class State {
    kArguments,  // in the value of the arguments
    kMembers,    // behind it, in the object of the call
    kBetween,    // behind the object
  };

  static std::vector<Opening> Openings(const JsonCallStyle& style, const std::vector<std::string>& markers) {
    std::vector<Opening> openings;
    openings.reserve(markers.size() + 1);
    for (const std::string& marker : markers) openings.push_back({marker});
    if (style.open.empty()) openings.push_back({"{", /*only_first=*/true});
    return openings;
  }

  Seen Open(Cursor& text, CallEvents& out) override {
    (void)std::any_of(markers_.begin(), markers_.end(),
                      [&](const std::string& marker) { return text.Literal(marker); });
    text.Space();
    in_list_ = text.Literal("[");
    if (in_list_) text.Space();
    return OpenObject(text, out) ? Seen::kYes : text.outcome();
  }

  // Reads the object of a call up to its arguments, or to its end if they came before the name, or never.
  bool OpenObject(Cursor& text, CallEvents& out) {
    if (!text.Literal("{")) return false;
    std::optional<std::string> name;
    std::optional<std::string> arguments;
    while (true) {
      text.Space();
      const auto member = text.JsonString();
      if (!member || !text.Words(":")) return false;
      text.Space();
      const bool is_arguments = *member == "arguments" || *member == "parameters";
      if (named_by_key_ && IsTool(*member)) return Begin(*member, out);
      if (is_arguments && name) return Begin(*name, out);
      if (*member == "name" || *member == "tool_name") {
        name = text.JsonString();
        if (!name || !IsTool(*name)) return false;
      } else {
        auto value = text.JsonValue();
        if (!value) return false;
        if (is_arguments) arguments = std::move(value);
      }
      if (text.Words(",")) continue;
      if (!text.Words("}") || !name) return false;
      Begin(*name, out);
      Emit(out, Kind::kArguments, arguments ? Decoded(*arguments) : "{}");
      return EndCall(out);
    }
  }

  [[nodiscard]] bool IsTool(const std::string& name) const {
    return std::any_of(tools().begin(), tools().end(), [&](const Tool& tool) { return tool.name == name; });
  }

  bool Begin(const std::string& name, CallEvents& out) {
    Emit(out, Kind::kBegin, name);
    state_ = State::kArguments;
    scanner_ = ValueScanner();
    return true;
  }

  bool EndCall(CallEvents& out) {
    Emit(out, Kind::kEnd, "");
    state_ = State::kBetween;
    return true;
  }

  // Some models write the object as a text, or null for none.
  static std::string Decoded(const std::string& raw) {
    if (raw == "null") return "{}";
    if (!raw.starts_with('"')) return raw;
    const Json value = Json::parse(raw, nullptr, /*allow_exceptions=*/false);
    return value.is_string() ? value.get<std::string>() : raw;
  }

  Seen Continue(Cursor& text, CallEvents& out) override {
    switch (state_) {
      case State::kArguments: return Arguments(text, out);
      case State::kMembers: return Members(text, out);
      case State::kBetween: return Between(text, out);
    }
    return Seen::kNo;
  }

  Seen Arguments(Cursor& text, CallEvents& out) {
    if (!scanner_.started()) text.Space();
    const std::string_view rest = text.rest();
    if (rest.empty()) return Seen::kPartly;
    if (rest.front() != '{' && !scanner_.started()) {  // to be decoded as a whole
      const auto value = text.JsonValue();
      if (!value) return text.outcome() == Seen::kPartly ? Seen::kPartly : Broken(out);
      Emit(out, Kind::kArguments, Decoded(*value));
    } else {
      const size_t size = scanner_.Take(rest);
      Emit(out, Kind::kArguments, rest.substr(0, size));
      text.Skip(size);
      if (!scanner_.done()) return Seen::kPartly;
    }
    state_ = State::kMembers;
    return Seen::kYes;
  }

  Seen Members(Cursor& text, CallEvents& out) {
    if (text.Words("}")) return EndCall(out) ? Seen::kYes : Seen::kNo;
    if (text.Words(",")) {
      text.Space();
      if (text.JsonString() && text.Words(":")) {
        text.Space();
        if (text.JsonValue()) return Seen::kYes;
      }
      text.Rewind();
    }
    return text.outcome() == Seen::kPartly ? Seen::kPartly : Broken(out);
  }

  // The call is what has been sent of it.
  static Seen Broken(CallEvents& out) {
    Emit(out, Kind::kEnd, "");
    return Seen::kNo;
  }

  Seen Between(Cursor& text, CallEvents& out) {
    if (in_list_ && text.Words("]")) {
      in_list_ = false;
      return Seen::kYes;
    }
    if (in_list_ && text.Words(",")) {
      text.Space();
      if (OpenObject(text, out)) return Seen::kYes;
      text.Rewind();
      return text.outcome();
    }
    if (!in_list_ && !close_.empty() && text.Words(close_)) return Seen::kNo;
    if (!in_list_ && close_.empty() && !separator_.empty() && text.Words(separator_)) return Seen::kNo;
    return text.outcome();
  }

  void CutOff(std::string_view rest, CallEvents& out) override {
    if (state_ == State::kArguments) Emit(out, Kind::kArguments, rest);
    if (state_ != State::kBetween) return Emit(out, Kind::kEnd, "");
    const std::string left = Trimmed(rest);
    const std::string_view expected = in_list_ ? "," : std::string_view(close_);
    if (!expected.starts_with(left)) Emit(out, Kind::kContent, rest);
  }

  std::vector<std::string> markers_;
  std::string close_;
  std::string separator_;
  bool named_by_key_;

  State state_ = State::kArguments;
  bool in_list_ = false;
  ValueScanner scanner_;
};

class JsonCallFormat final : public CallFormat {
 public:
  explicit JsonCallFormat(JsonCallStyle style) : CallFormat(style.name, style.signs), style_(std::move(style)) {
    if (!style_.open.empty()) openings_.push_back(Trimmed(style_.open));
    for (const std::string& marker : style_.also_open) openings_.push_back(Trimmed(marker));
  }

  [[nodiscard]] std::unique_ptr<AnswerParser> NewParser(std::vector<Tool> tools) const override {
    return std::make_unique<JsonCallParser>(style_, openings_, std::move(tools));
  }

  [[nodiscard]] std::string Write(std::span<const ToolCall> calls) const override {
    std::string text;
    for (const ToolCall& call : calls) {
      if (!text.empty()) text += style_.list ? ", " : style_.separator;
      if (!style_.list) text += style_.open;
      text += style_.name_member.empty() ? fmt::format(R"({{"{}": {}}})", call.name, call.arguments)
                                         : fmt::format(R"({{"{}": "{}", "{}": {}}})", style_.name_member, call.name,
                                                       style_.arguments_member, call.arguments);
      if (!style_.list) text += style_.close;
    }
    return style_.list ? fmt::format("{}[{}]{}", style_.open, text, style_.close) : text;
  }

  [[nodiscard]] Result<Grammar> CallsGrammar(std::span<const Tool> tools, ArgumentRule rule, bool many,
                                             const Spelling& spelled) const override {
    std::vector<Grammar> calls;
    for (const Tool& tool : tools) {
      KV_ASSIGN(const Grammar arguments, ArgumentsGrammar(tool, rule));
      const std::string head = style_.name_member.empty() ? fmt::format(R"({{"{}": )", tool.name)
                                                          : fmt::format(R"({{"{}": "{}", "{}": )", style_.name_member,
                                                                        tool.name, style_.arguments_member);
      calls.push_back(Grammar::Sequence({Grammar::Literal(head), arguments, Grammar::Literal("}")}));
    }
    const Grammar call = Grammar::Choice(calls);
    if (style_.list) {
      return Grammar::Sequence(
          {spelled(style_.open + "["), Listed(call, Grammar::Literal(", "), many), spelled("]" + style_.close)});
    }
    return Listed(Grammar::Sequence({spelled(style_.open), call, spelled(style_.close)}),
                  Grammar::Literal(style_.separator), many);
  }

  // Where an answer that begins with a call has no marker, other text begins with another letter.
  [[nodiscard]] Grammar FreeAnswer(const Grammar& calls, const Spelling& spelled) const override {
    if (!style_.open.empty()) return CallFormat::FreeAnswer(calls, spelled);
    return Grammar::Choice({*Grammar::FromRegex("(\\s*[^{\\s][\\s\\S]*)?"), calls});
  }

  [[nodiscard]] std::vector<std::string> OpeningMarkers() const override { return openings_; }

  [[nodiscard]] std::vector<std::string> Markers() const override {
    std::vector<std::string> markers = openings_;
    if (!style_.close.empty()) markers.push_back(Trimmed(style_.close));
    return markers;
  }

 private:
  JsonCallStyle style_;
  std::vector<std::string> openings_;
};

}  // namespace

std::unique_ptr<CallFormat> JsonCalls(JsonCallStyle style) {
  return std::make_unique<JsonCallFormat>(std::move(style));
}

}  // namespace kvasir::server
