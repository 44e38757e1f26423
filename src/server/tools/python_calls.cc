#include "server/tools/python_calls.h"

#include <fmt/format.h>

#include "server/tools/python_literal.h"

namespace kvasir::server {
namespace {

using Kind = CallEvent::Kind;

constexpr size_t kLongestName = 256;

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
    if (!name && text.rest().size() <= kLongestName) return Broken(text, out);
    if (!name || name->size() > kLongestName) return Ended(out);
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

  [[nodiscard]] std::unique_ptr<CallParser> NewParser(std::vector<Tool> tools) const override {
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

  [[nodiscard]] std::vector<std::string> Markers() const override { return {style_.open, style_.close}; }

 private:
  PythonCallStyle style_;
};

}  // namespace

std::unique_ptr<CallFormat> PythonCalls(PythonCallStyle style) {
  return std::make_unique<PythonCallFormat>(std::move(style));
}

}  // namespace kvasir::server
