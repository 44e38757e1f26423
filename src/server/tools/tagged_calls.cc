// The arguments become the members of a JSON object. Whether `42` is a number or a text, the function's schema has to
// say. Texts are passed on while they are being written, since they may be whole files; other values when they are
// complete.
#include "server/tools/tagged_calls.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "server/tools/call_parser.h"

namespace kvasir::server {
namespace {

using Kind = CallEvent::Kind;

enum class ValueKind { kText, kOther, kEither };

ValueKind KindOf(const Json& schema) {
  if (!schema.is_object()) return ValueKind::kEither;
  const auto type = schema.find("type");
  if (type != schema.end() && type->is_string()) return *type == "string" ? ValueKind::kText : ValueKind::kOther;
  if (type != schema.end() && type->is_array()) {
    return std::find(type->begin(), type->end(), "string") == type->end() ? ValueKind::kOther : ValueKind::kEither;
  }
  const auto options = schema.find("enum");
  const bool texts = options != schema.end() && options->is_array() &&
                     std::all_of(options->begin(), options->end(), [](const Json& item) { return item.is_string(); });
  return texts ? ValueKind::kText : ValueKind::kEither;
}

// The inside of a JSON string. Byte by byte, because a piece may end inside a character.
std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out;
}

class TaggedCallParser final : public CallParser {
 public:
  TaggedCallParser(const TaggedCallStyle& style, std::vector<Tool> tools)
      : CallParser(Openings(style), std::move(tools)), style_(style) {}

 private:
  enum class State { kParameters, kText, kValue, kBetween };

  // Some models leave the outer tag out.
  static std::vector<Opening> Openings(const TaggedCallStyle& style) {
    std::vector<Opening> openings = {{style.open}};
    if (!style.function_open.empty()) openings.push_back({style.function_open});
    return openings;
  }

  Seen Open(Cursor& text, CallEvents& out) override {
    if (text.Literal(style_.open)) text.Space();
    return OpenFunction(text, out) ? Seen::kYes : text.outcome();
  }

  bool OpenFunction(Cursor& text, CallEvents& out) {
    if (!text.Words(style_.function_open)) return false;
    text.Space();
    const auto name = text.Name(tools());
    if (!name || !text.Words(Trimmed(style_.function_name_end))) return false;
    Emit(out, Kind::kBegin, *name);
    Emit(out, Kind::kArguments, "{");
    tool_ = &*std::find_if(tools().begin(), tools().end(), [&](const Tool& tool) { return tool.name == *name; });
    state_ = State::kParameters;
    first_ = true;
    return true;
  }

  Seen Continue(Cursor& text, CallEvents& out) override {
    switch (state_) {
      case State::kParameters: return Parameters(text, out);
      case State::kText: return Text(text, out);
      case State::kValue: return Value(text, out);
      case State::kBetween: return Between(text, out);
    }
    return Seen::kNo;
  }

  Seen Parameters(Cursor& text, CallEvents& out) {
    if (text.Words(style_.parameter_open)) {
      const Seen seen = OpenParameter(text, out);
      if (seen != Seen::kYes) text.Rewind();
      return seen;
    }
    const std::string& end = style_.function_close.empty() ? style_.close : style_.function_close;
    if (text.Words(end)) {
      EndCall(out);
      state_ = State::kBetween;
      return style_.function_close.empty() ? Seen::kNo : Seen::kYes;
    }
    if (text.outcome() == Seen::kPartly) return Seen::kPartly;
    EndCall(out);
    return Seen::kNo;
  }

  static void EndCall(CallEvents& out) {
    Emit(out, Kind::kArguments, "}");
    Emit(out, Kind::kEnd, "");
  }

  Seen OpenParameter(Cursor& text, CallEvents& out) {
    const std::string& end = style_.parameter_name_end;
    const size_t space = std::min(end.find(' '), end.size());
    const auto name = text.Until(end.substr(0, space));
    if (!name || (space < end.size() && !text.Words(end.substr(space + 1)))) {
      if (text.outcome() == Seen::kNo) EndCall(out);
      return text.outcome();
    }
    if (style_.values_own_lines) {
      if (text.rest().empty()) return Seen::kPartly;
      (void)text.Literal("\n");
    }
    const auto properties = tool_->parameters.find("properties");
    const bool known = properties != tool_->parameters.end() && properties->is_object() && properties->contains(*name);
    schema_ = known ? (*properties)[*name] : Json();
    Emit(out, Kind::kArguments, fmt::format("{}{}: ", first_ ? "" : ", ", DumpJson(*name)));
    first_ = false;
    state_ = KindOf(schema_) == ValueKind::kText ? State::kText : State::kValue;
    if (state_ == State::kText) Emit(out, Kind::kArguments, "\"");
    return Seen::kYes;
  }

  Seen Text(Cursor& text, CallEvents& out) {
    const std::string_view rest = text.rest();
    const std::string& close = style_.parameter_close;
    const size_t end = rest.find(close);
    if (end != std::string_view::npos) {
      std::string_view value = rest.substr(0, end);
      if (style_.values_own_lines && value.ends_with('\n')) value.remove_suffix(1);
      Emit(out, Kind::kArguments, Escaped(value) + "\"");
      text.Skip(end + close.size());
      state_ = State::kParameters;
      return Seen::kYes;
    }
    size_t held = OpenEnd(rest, close);
    if (style_.values_own_lines) held = std::max(held, OpenEnd(rest, "\n" + close));
    Emit(out, Kind::kArguments, Escaped(rest.substr(0, rest.size() - held)));
    text.Skip(rest.size() - held);
    return Seen::kPartly;
  }

  Seen Value(Cursor& text, CallEvents& out) {
    const auto value = text.Until(style_.parameter_close);
    if (!value) return Seen::kPartly;
    Emit(out, Kind::kArguments, ArgumentJson(*value, schema_));
    state_ = State::kParameters;
    return Seen::kYes;
  }

  Seen Between(Cursor& text, CallEvents& out) {
    if (text.Words(style_.close)) return Seen::kNo;
    if (style_.together && OpenFunction(text, out)) return Seen::kYes;
    text.Rewind();
    return text.outcome();
  }

  void CutOff(std::string_view rest, CallEvents& out) override {
    if (state_ == State::kBetween) {
      if (!style_.close.starts_with(Trimmed(rest))) Emit(out, Kind::kContent, rest);
      return;
    }
    if (state_ != State::kParameters) Emit(out, Kind::kArguments, Escaped(rest));
    Emit(out, Kind::kEnd, "");
  }

  const TaggedCallStyle& style_;
  const Tool* tool_ = nullptr;
  State state_ = State::kParameters;
  bool first_ = true;  // no argument yet
  Json schema_;        // of the argument that is open
};

class TaggedCallFormat final : public CallFormat {
 public:
  explicit TaggedCallFormat(TaggedCallStyle style) : CallFormat(style.name, style.signs), style_(std::move(style)) {}

  [[nodiscard]] std::unique_ptr<AnswerParser> NewParser(std::vector<Tool> tools) const override {
    return std::make_unique<TaggedCallParser>(style_, std::move(tools));
  }

  [[nodiscard]] std::string Write(std::span<const ToolCall> calls) const override {
    std::string text;
    for (const ToolCall& call : calls) {
      if (!style_.together && !text.empty()) text += "\n";
      if (!style_.together || text.empty()) text += style_.open + (style_.function_open.empty() ? "" : "\n");
      text += WriteFunction(call);
      if (!style_.together) text += style_.close;
    }
    return style_.together ? text + style_.close : text;
  }

  [[nodiscard]] Result<Grammar> CallsGrammar(std::span<const Tool> tools, ArgumentRule /*rule*/, bool many,
                                             const Spelling& spelled) const override {
    std::vector<Grammar> calls;
    for (const Tool& tool : tools) {
      KV_ASSIGN(Grammar function, FunctionGrammar(tool, spelled));
      calls.push_back(std::move(function));
    }
    const Grammar call = Grammar::Choice(calls);
    const Grammar open = spelled(style_.open + (style_.function_open.empty() ? "" : "\n"));
    if (style_.together) {
      return Grammar::Sequence({open, Listed(call, EmptyText(), many), spelled(style_.close)});
    }
    return Listed(Grammar::Sequence({open, call, spelled(style_.close)}), Grammar::Literal("\n"), many);
  }

  [[nodiscard]] std::vector<std::string> Markers() const override { return {style_.open, style_.close}; }
  [[nodiscard]] std::vector<std::string> OpeningMarkers() const override {
    if (style_.function_open.empty()) return {style_.open};
    return {style_.open, style_.function_open};
  }

 private:
  [[nodiscard]] Result<Grammar> FunctionGrammar(const Tool& tool, const Spelling& spelled) const {
    const std::string line = style_.values_own_lines ? "\n" : "";
    const auto text = [&](const std::vector<std::string>& choices) {
      if (choices.empty()) return Grammar::TextWithout({style_.parameter_close});
      std::vector<Grammar> texts;
      texts.reserve(choices.size());
      for (const std::string& choice : choices) texts.push_back(Grammar::Literal(choice));
      return Grammar::Choice(texts);
    };
    KV_ASSIGN(const std::vector<ParameterGrammar> parameters, ParameterGrammars(tool, text));
    std::vector<Grammar> parts = {spelled(style_.function_open + tool.name + style_.function_name_end)};
    for (const ParameterGrammar& parameter : parameters) {
      const Grammar one =
          Grammar::Sequence({spelled(style_.parameter_open + parameter.name + ParameterNameEnd() + line),
                             parameter.value, spelled(line + style_.parameter_close + "\n")});
      parts.push_back(parameter.required ? one : Grammar::Repeat(one, 0, 1));
    }
    if (!style_.function_close.empty()) parts.push_back(spelled(style_.function_close + "\n"));
    return Grammar::Sequence(parts);
  }

  // What a space stands for in the style, models write as a line's end.
  [[nodiscard]] std::string ParameterNameEnd() const {
    std::string end = style_.parameter_name_end;
    std::replace(end.begin(), end.end(), ' ', '\n');
    return end;
  }

  [[nodiscard]] std::string WriteFunction(const ToolCall& call) const {
    std::string text = style_.function_open + call.name + style_.function_name_end;
    const Json arguments = Json::parse(call.arguments, nullptr, /*allow_exceptions=*/false);
    const char* line = style_.values_own_lines ? "\n" : "";
    if (arguments.is_object()) {
      for (const auto& [name, value] : arguments.items()) {
        const std::string plain = value.is_string() ? value.get<std::string>() : DumpJson(value);
        text += fmt::format("{}{}{}{}{}{}{}\n", style_.parameter_open, name, ParameterNameEnd(), line, plain, line,
                            style_.parameter_close);
      }
    }
    return text + (style_.function_close.empty() ? "" : style_.function_close + "\n");
  }

  TaggedCallStyle style_;
};

}  // namespace

std::string ArgumentJson(const std::string& text, const Json& schema) {
  const ValueKind kind = KindOf(schema);
  const std::string plain = Trimmed(text);
  if (kind != ValueKind::kText) {
    if (const auto value = ParseJson(plain)) return DumpJson(*value);
    // Templates print the model's own earlier calls with Python's words.
    if (plain == "True" || plain == "False") return plain == "True" ? "true" : "false";
    if (plain == "None") return "null";
  }
  return fmt::format("\"{}\"", Escaped(kind == ValueKind::kOther ? plain : text));
}

std::unique_ptr<CallFormat> TaggedCalls(TaggedCallStyle style) {
  return std::make_unique<TaggedCallFormat>(std::move(style));
}

}  // namespace kvasir::server
