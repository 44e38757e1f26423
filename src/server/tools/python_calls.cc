#include "server/tools/python_calls.h"

#include <fmt/format.h>

#include "base/check.h"
#include "server/tools/call_parser.h"
#include "server/tools/python_literal.h"

namespace kvasir::server {
namespace {

using Kind = CallEvent::Kind;

constexpr size_t kLongestArgumentName = 256;

class PythonCallParser final : public CallParser {
 public:
  PythonCallParser(const PythonCallStyle& style, std::vector<Tool> tools)
      : CallParser({{style.open}}, std::move(tools)), style_(style) {}

 private:
  enum class State { kArguments, kBetween };

  Seen Open(Cursor& text, CallEvents& out) override {
    if (!text.Literal(style_.open) || !text.Words("[")) return text.outcome();
    return OpenFunction(text, out) ? Seen::kYes : text.outcome();
  }

  bool OpenFunction(Cursor& text, CallEvents& out) {
    text.Space();
    const auto name = text.Name(tools());
    if (!name || !text.Words("(")) return false;
    Emit(out, Kind::kBegin, *name);
    Emit(out, Kind::kArguments, "{");
    state_ = State::kArguments;
    first_ = true;
    in_list_ = true;
    return true;
  }

  Seen Continue(Cursor& text, CallEvents& out) override {
    return state_ == State::kArguments ? Arguments(text, out) : Between(text, out);
  }

  Seen Arguments(Cursor& text, CallEvents& out) {
    if (text.Words(")")) {
      EndCall(out);
      return Seen::kYes;
    }
    if (!first_ && !text.Words(",")) return Broken(text, out);
    text.Space();
    const auto name = text.Until("=");
    if ((name ? name->size() : text.rest().size()) > kLongestArgumentName) {
      text.Rewind();
      return Ended(out);
    }
    if (!name) return Broken(text, out);
    text.Space();
    const std::string_view rest = text.rest();
    ValueScanner scanner("\"'");
    const size_t size = scanner.Take(rest);
    if (!scanner.done()) {
      text.Rewind();
      return Seen::kPartly;
    }
    const auto value = ReadPythonLiteral(rest.substr(0, size));
    text.Skip(size);
    Emit(out, Kind::kArguments,
         fmt::format("{}{}: {}", first_ ? "" : ", ", DumpJson(Trimmed(*name)),
                     DumpJson(value ? *value : Json(std::string(rest.substr(0, size))))));
    first_ = false;
    return Seen::kYes;
  }

  Seen Broken(Cursor& text, CallEvents& out) {
    text.Rewind();
    return text.outcome() == Seen::kPartly ? Seen::kPartly : Ended(out);
  }
  Seen Ended(CallEvents& out) {
    EndCall(out);
    return Seen::kNo;
  }
  void EndCall(CallEvents& out) {
    Emit(out, Kind::kArguments, "}");
    Emit(out, Kind::kEnd, "");
    state_ = State::kBetween;
  }

  Seen Between(Cursor& text, CallEvents& out) {
    if (in_list_ && text.Words("]")) {
      in_list_ = false;
      return Seen::kYes;
    }
    if (in_list_ && text.Words(",")) {
      if (OpenFunction(text, out)) return Seen::kYes;
      text.Rewind();
      return text.outcome();
    }
    if (!in_list_ && text.Words(style_.close)) return Seen::kNo;
    return text.outcome();
  }

  void CutOff(std::string_view rest, CallEvents& out) override {
    if (state_ == State::kArguments) {
      Emit(out, Kind::kArguments, rest);
      return Emit(out, Kind::kEnd, "");
    }
    const std::string_view expected = in_list_ ? "," : std::string_view(style_.close);
    if (!expected.starts_with(Trimmed(rest))) Emit(out, Kind::kContent, rest);
  }

  const PythonCallStyle& style_;
  State state_ = State::kArguments;
  bool first_ = true;
  bool in_list_ = true;
};

class PythonCallFormat final : public CallFormat {
 public:
  explicit PythonCallFormat(PythonCallStyle style) : CallFormat(style.name, style.signs), style_(std::move(style)) {}

  [[nodiscard]] std::unique_ptr<AnswerParser> NewParser(std::vector<Tool> tools) const override {
    return std::make_unique<PythonCallParser>(style_, std::move(tools));
  }

  [[nodiscard]] std::string Write(std::span<const ToolCall> calls) const override {
    std::string text;
    for (const ToolCall& call : calls) {
      std::string arguments;
      const Json values = Json::parse(call.arguments, nullptr, /*allow_exceptions=*/false);
      if (values.is_object()) {
        for (const auto& [name, value] : values.items()) {
          arguments += fmt::format("{}{}={}", arguments.empty() ? "" : ", ", name, WritePythonLiteral(value));
        }
      }
      text += fmt::format("{}{}({})", text.empty() ? "" : ", ", call.name, arguments);
    }
    return fmt::format("{}[{}]{}", style_.open, text, style_.close);
  }

  [[nodiscard]] Result<Grammar> CallsGrammar(std::span<const Tool> tools, ArgumentRule /*rule*/, bool many,
                                             const Spelling& spelled) const override {
    std::vector<Grammar> calls;
    for (const Tool& tool : tools) {
      KV_ASSIGN(const std::vector<ParameterGrammar> parameters, ParameterGrammars(tool, nullptr));
      calls.push_back(
          Grammar::Sequence({Grammar::Literal(tool.name + "("), Arguments(parameters), Grammar::Literal(")")}));
    }
    return Grammar::Sequence({spelled(style_.open + "["), Listed(Grammar::Choice(calls), Grammar::Literal(", "), many),
                              spelled("]" + style_.close)});
  }

  [[nodiscard]] std::vector<std::string> Markers() const override { return {style_.open, style_.close}; }
  [[nodiscard]] std::vector<std::string> OpeningMarkers() const override { return {style_.open}; }

 private:
  // Built from the last to the first: what may follow when an argument was there already, so that each begins with a
  // comma, and when none was.
  static Grammar Arguments(const std::vector<ParameterGrammar>& parameters) {
    Grammar after_others = EmptyText();
    Grammar first = EmptyText();
    for (size_t i = parameters.size(); i-- > 0;) {
      const ParameterGrammar& parameter = parameters[i];
      const Grammar value = parameter.is_boolean
                                ? Grammar::Choice({Grammar::Literal("True"), Grammar::Literal("False")})
                                : parameter.value;
      const Grammar one = Grammar::Sequence({Grammar::Literal(parameter.name + "="), value});
      const Grammar next = Grammar::Sequence({Grammar::Literal(", "), one});
      const Grammar with_one = Grammar::Sequence({one, after_others});
      first = parameter.required ? with_one : Grammar::Choice({with_one, first});
      after_others = Grammar::Sequence({parameter.required ? next : Grammar::Repeat(next, 0, 1), after_others});
    }
    return first;
  }

  PythonCallStyle style_;
};

}  // namespace

std::unique_ptr<CallFormat> PythonCalls(PythonCallStyle style) {
  return std::make_unique<PythonCallFormat>(std::move(style));
}

}  // namespace kvasir::server
