#include "server/tools/tool_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvasir::server {
namespace {

Json ToolsJson(const std::vector<Tool>& tools) {
  Json list = Json::array();
  for (const Tool& tool : tools) {
    list.push_back(
        {{"type", "function"},
         {"function", {{"name", tool.name}, {"description", tool.description}, {"parameters", tool.parameters}}}});
  }
  return list;
}

std::string Description(const std::vector<Tool>& tools, const CallFormat& format) {
  const ToolCall example{.name = "function-name", .arguments = R"({"argument": "value"})"};
  std::string text = "# Tools\n\nYou may call functions to help with the request. These are the functions:\n\n";
  for (const Json& tool : ToolsJson(tools)) text += DumpJson(tool["function"]) + "\n";
  text += fmt::format(
      "\nTo call a function, write its name and its arguments exactly in this form:\n\n{}\n\nThe next message will "
      "then hold the result. If no function helps, answer in plain words.",
      format.Write({&example, 1}));
  return text;
}

std::string TextOf(const Json& message) {
  const auto content = message.find("content");
  return content != message.end() && content->is_string() ? content->get<std::string>() : "";
}

std::string Joined(const std::string& first, const std::string& second, const char* between) {
  return first.empty() || second.empty() ? first + second : first + between + second;
}

void Describe(Json& messages, const std::string& description, const TemplateTraits& traits) {
  const char* role = traits.system ? "system" : "user";
  for (Json& message : messages) {
    if (message["role"] != role) continue;
    const std::string text = TextOf(message);
    message["content"] = traits.system ? Joined(text, description, "\n\n") : Joined(description, text, "\n\n");
    return;
  }
  messages.insert(messages.begin(), Json{{"role", role}, {"content", description}});
}

// The arguments of a call of an earlier answer, which are an object unless the client changed them.
std::string ArgumentsText(const Json& arguments) {
  return arguments.is_string() ? arguments.get<std::string>() : DumpJson(arguments);
}

void AdaptCalls(Json& message, const ToolDialect& dialect) {
  const TemplateTraits& traits = dialect.traits;
  const std::string text = TextOf(message);
  // A template that wants no content beside calls would lose one of the two.
  if (!traits.calls || (traits.content_is_null && !text.empty())) {
    std::vector<ToolCall> calls;
    for (const Json& call : message["tool_calls"]) {
      const Json& function = call["function"];
      calls.push_back({function["name"].get<std::string>(), ArgumentsText(function["arguments"])});
    }
    message.erase("tool_calls");
    message["content"] = Joined(text, dialect.format->Write(calls), "\n");
    return;
  }
  message["content"] = traits.content_is_null ? Json(nullptr) : Json(text);
  for (Json& call : message["tool_calls"]) {
    if (traits.arguments_as_text) call["function"]["arguments"] = ArgumentsText(call["function"]["arguments"]);
    if (!call.contains("id")) call["id"] = "";
    if (traits.short_ids) call["id"] = ShortCallId(call["id"].get<std::string>());
  }
}

// Where a template shows one call of an answer only, each gets an answer of its own, with its result behind it. What is
// beside the calls stays with the first.
Json WithOneCallEach(const Json& messages) {
  Json out = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    if (!message.contains("tool_calls") || message["tool_calls"].size() < 2) {
      out.push_back(message);
      continue;
    }
    std::vector<const Json*> results;
    while (i + 1 < messages.size() && messages[i + 1]["role"] == "tool") results.push_back(&messages[++i]);
    const auto take = [&](const Json& id) {  // the result of the call `id`, or else the next one
      auto found =
          std::ranges::find_if(results, [&](const Json* each) { return each->value("tool_call_id", Json()) == id; });
      if (found == results.end()) found = results.begin();
      if (found == results.end()) return;
      out.push_back(**found);
      results.erase(found);
    };
    Json answer = message;
    for (const Json& call : message["tool_calls"]) {
      answer["tool_calls"] = Json::array({call});
      out.push_back(answer);
      take(call.value("id", Json()));
      answer = {{"role", message["role"]}, {"content", nullptr}};
    }
    for (const Json* rest : results) out.push_back(*rest);
  }
  return out;
}

// Thoughts of earlier answers are called `reasoning_content` by clients and most templates. A template that wants
// nothing but them beside a call loses them to a text.
void AdaptThoughts(Json& message, const ToolDialect& dialect) {
  if (!dialect.traits.thinking || !message.contains("reasoning_content")) return;
  if (!message.contains("tool_calls") || TextOf(message).empty()) message["thinking"] = message["reasoning_content"];
  message.erase("reasoning_content");
}

std::string ResultText(const Json& message) {
  return fmt::format("<tool_response>\n{}\n</tool_response>", TextOf(message));
}

// Results become the text of the user, in one message with what the user says next, since many templates insist that
// user and assistant take turns.
Json WithoutResultRole(const Json& messages) {
  Json out = Json::array();
  bool open = false;  // the last message holds results
  for (const Json& message : messages) {
    const bool result = message["role"] == "tool";
    const std::string text = result ? ResultText(message) : TextOf(message);
    if (open && (result || message["role"] == "user")) {
      out.back()["content"] = Joined(TextOf(out.back()), text, "\n");
    } else if (result) {
      out.push_back({{"role", "user"}, {"content", text}});
    } else {
      out.push_back(message);
    }
    open = result;
  }
  return out;
}

}  // namespace

ToolDialect DialectOf(const ChatTemplate& chat_template) {
  ToolDialect dialect{.format = &FormatOf(chat_template.source()),
                      .traits = ProbeTemplate(chat_template),
                      .thoughts = ThoughtsOf(chat_template.source()),
                      .markers = {},
                      .marker_texts = {}};
  // A template that writes any role as it comes shows results too, but in a way that its model has never seen.
  if (dialect.format == &GenericFormat() && !dialect.traits.calls) dialect.traits.results = false;
  return dialect;
}

ToolDialect DialectOf(const ChatTemplate& chat_template, const Tokenizer& tokenizer) {
  ToolDialect dialect = DialectOf(chat_template);
  std::vector<std::string> markers = dialect.format->Markers();
  if (dialect.thoughts != nullptr) {
    for (const std::string_view mark : {dialect.thoughts->open, dialect.thoughts->close}) markers.emplace_back(mark);
  }
  for (const std::string& marker : markers) {
    const std::vector<int32_t> tokens = tokenizer.Encode(marker, {.add_special = false, .parse_special = true});
    const bool is_control =
        tokens.size() == 1 && tokenizer.Decode(tokens, /*skip_special=*/true).value_or(marker).empty();
    if (!is_control || tokenizer.IsEndOfGeneration(tokens.front())) continue;
    dialect.markers.push_back(tokens.front());
    dialect.marker_texts.push_back(marker);
  }
  return dialect;
}

std::vector<int32_t> ToolDialect::ShownTokens(const ToolOptions& tools) const {
  if (tools.offered() || format->reads_every_answer()) return markers;
  std::vector<int32_t> shown;
  for (size_t i = 0; i < markers.size() && thoughts != nullptr; ++i) {
    if (marker_texts[i] == thoughts->open || marker_texts[i] == thoughts->close) shown.push_back(markers[i]);
  }
  return shown;
}

Json WithTools(Json conversation, const ToolOptions& tools, const ToolDialect& dialect) {
  Json& messages = conversation["messages"];
  if (dialect.traits.one_call) messages = WithOneCallEach(messages);
  for (Json& message : messages) {
    AdaptThoughts(message, dialect);
    if (message.contains("tool_calls")) AdaptCalls(message, dialect);
    if (dialect.traits.short_ids && message.contains("tool_call_id")) {
      message["tool_call_id"] = ShortCallId(message["tool_call_id"].get<std::string>());
    }
  }
  if (!dialect.traits.results) messages = WithoutResultRole(messages);
  if (!tools.offered()) {
    if (dialect.traits.empty_list) conversation["tools"] = Json::array();
    return conversation;
  }
  if (dialect.traits.tools) {
    conversation["tools"] = ToolsJson(tools.tools);
  } else {
    Describe(messages, Description(tools.tools, *dialect.format), dialect.traits);
  }
  return conversation;
}

std::string ShortCallId(const std::string& id) {
  constexpr size_t kLength = 9;
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const auto plain = [&](char c) { return kDigits.contains(c); };
  if (id.size() == kLength && std::all_of(id.begin(), id.end(), plain)) return id;
  uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a: the same id must give the same nine letters in every process
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  std::string text;
  for (size_t i = 0; i < kLength; ++i) {
    text += kDigits[hash % kDigits.size()];
    hash /= kDigits.size();
  }
  return text;
}

}  // namespace kvasir::server
