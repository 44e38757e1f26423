#include "server/tools/call_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace kvasir::server {
namespace {

// An error of the grammar as one of the tool.
Error About(const Tool& tool, const Error& error, const std::string& place = "") {
  return {error.code, fmt::format("the parameters of '{}'{}: {}", tool.name, place, error.message)};
}

// The schema without the members that it does not name: a model that may add any would not know when to stop. Where
// members are named elsewhere, what is said here would exclude them.
Json Closed(Json schema) {
  for (const char* name : {"additionalProperties", "patternProperties", "$ref", "allOf", "anyOf", "oneOf"}) {
    if (schema.contains(name)) return schema;
  }
  schema["additionalProperties"] = false;
  return schema;
}

bool IsText(const Json& schema) {
  const auto type = schema.find("type");
  if (type != schema.end()) return *type == "string";
  const auto options = schema.find("enum");
  return options != schema.end() && options->is_array() &&
         std::all_of(options->begin(), options->end(), [](const Json& item) { return item.is_string(); });
}

// The texts that a schema of a text allows; empty for any. Only what can be held to: the rest is an error.
Result<std::vector<std::string>> TextChoices(const Json& schema) {
  constexpr auto kKnown =
      std::to_array<std::string_view>({"type", "enum", "const", "title", "description", "default", "examples",
                                       "deprecated", "readOnly", "writeOnly", "$comment"});
  std::vector<std::string> choices;
  for (const auto& [name, value] : schema.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
      return Fail(ErrorCode::kUnsupported,
                  fmt::format("/{}: this model writes texts outside JSON, where '{}' cannot be held to", name, name));
    }
    if (name == "const" && value.is_string()) choices = {value.get<std::string>()};
    if (name != "enum" || !value.is_array()) continue;
    for (const Json& item : value) {
      if (item.is_string()) choices.push_back(item.get<std::string>());
    }
  }
  return choices;
}

}  // namespace

Grammar EmptyText() {
  return Grammar::Literal("");
}

bool Spelling::IsControlToken(std::string_view text) const {
  return std::find(control_tokens_.begin(), control_tokens_.end(), text) != control_tokens_.end();
}

Grammar Spelling::operator()(std::string_view text) const {
  std::vector<Grammar> parts;
  while (!text.empty()) {
    size_t at = std::string_view::npos;
    std::string_view token;
    for (const std::string& candidate : control_tokens_) {
      const size_t found = text.find(candidate);
      if (found >= at) continue;
      at = found;
      token = candidate;
    }
    if (token.empty()) {
      parts.push_back(Grammar::Literal(text));
      break;
    }
    if (at > 0) parts.push_back(Grammar::Literal(text.substr(0, at)));
    parts.push_back(Grammar::Special(token));
    text.remove_prefix(at + token.size());
  }
  return parts.empty() ? EmptyText() : Grammar::Sequence(parts);
}

Result<Grammar> ArgumentsGrammar(const Tool& tool, ArgumentRule rule) {
  if (rule == ArgumentRule::kStrict && !tool.strict) return Grammar::AnyJsonObject();
  auto grammar = Grammar::FromJsonSchema(DumpJson(Closed(tool.parameters)));
  if (!grammar) return std::unexpected(About(tool, grammar.error()));
  return grammar;
}

Result<std::vector<ParameterGrammar>> ParameterGrammars(
    const Tool& tool, const std::function<Grammar(const std::vector<std::string>& choices)>& text) {
  const Json& schema = tool.parameters;
  std::vector<ParameterGrammar> parameters;
  const auto required = schema.find("required");
  for (const auto& [name, property] : schema["properties"].items()) {
    const std::string place = fmt::format(" /properties/{}", name);
    const bool is_required = required != schema.end() && required->is_array() &&
                             std::find(required->begin(), required->end(), Json(name)) != required->end();
    if (text && property.is_object() && IsText(property)) {
      const auto choices = TextChoices(property);
      if (!choices) return std::unexpected(About(tool, choices.error(), place));
      parameters.push_back({name, is_required, false, text(*choices)});
      continue;
    }
    Json alone = property;
    for (const char* definitions : {"$defs", "definitions"}) {
      if (alone.is_object() && schema.contains(definitions)) alone[definitions] = schema[definitions];
    }
    auto grammar = Grammar::FromJsonSchema(DumpJson(alone));
    if (!grammar) return std::unexpected(About(tool, grammar.error(), place));
    const bool is_boolean = property.is_object() && property.value("type", Json()) == "boolean";
    parameters.push_back({name, is_required, is_boolean, std::move(*grammar)});
  }
  return parameters;
}

Grammar Listed(const Grammar& item, const Grammar& separator, bool many) {
  if (!many) return item;
  return Grammar::Sequence({item, Grammar::Repeat(Grammar::Sequence({separator, item}), 0, -1)});
}

}  // namespace kvasir::server
