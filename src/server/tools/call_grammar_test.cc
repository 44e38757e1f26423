#include "server/tools/call_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "server/tools/call_constraint.h"
#include "server/tools/formats.h"

namespace kvasir::server {
namespace {

using ::testing::HasSubstr;

Tool Weather() {
  return {.name = "get_weather",
          .description = "",
          .parameters = Json::parse(R"({"type": "object", "required": ["city", "days"], "properties":
                                        {"city": {"type": "string", "enum": ["Oslo", "Rio \"de\" Janeiro"]},
                                         "days": {"type": "integer"}, "exact": {"type": "boolean"}}})")};
}
Tool Now() {
  return {.name = "now",
          .description = "",
          .parameters = {{"type", "object"},
                         {"properties", {{"zone", {{"type", "string"}}}, {"unix", {{"type", "boolean"}}}}}}};
}

bool Matches(const Grammar& grammar, const std::string& text) {
  const auto matches = grammar.Matches(text);
  EXPECT_TRUE(matches.has_value()) << matches.error().message;
  return matches.value_or(false);
}

std::vector<const CallFormat*> AllFormats() {
  std::vector<const CallFormat*> formats = {&GenericFormat()};
  for (const auto& format : CallFormats()) formats.push_back(format.get());
  return formats;
}

const ToolCall kGood = {"get_weather", R"({"city": "Rio \"de\" Janeiro", "days": 3})"};
const ToolCall kOptional = {"get_weather", R"({"city": "Oslo", "days": -1, "exact": true})"};
const ToolCall kAnyText = {"now", R"({"zone": "Europe/Oslo"})"};
const ToolCall kNothing = {"now", "{}"};
const ToolCall kSecondOnly = {"now", R"({"unix": false})"};
const ToolCall kLacking = {"get_weather", R"({"city": "Oslo"})"};
const ToolCall kOtherCity = {"get_weather", R"({"city": "Bergen", "days": 1})"};
const ToolCall kOtherType = {"get_weather", R"({"city": "Oslo", "days": "many"})"};
const ToolCall kUnknown = {"rm", "{}"};

TEST(CallGrammar, AllowsWhatTheFormatWritesAndTheSchemaAllows) {
  const std::vector<Tool> tools = {Weather(), Now()};
  for (const CallFormat* format : AllFormats()) {
    SCOPED_TRACE(format->name());
    for (const bool as_tokens : {false, true}) {
      const Spelling spelled(as_tokens ? format->Markers() : std::vector<std::string>{});
      const auto grammar = format->CallsGrammar(tools, ArgumentRule::kSchema, /*many=*/false, spelled);
      ASSERT_TRUE(grammar.has_value()) << grammar.error().message;
      for (const ToolCall& call : {kGood, kOptional, kAnyText, kNothing, kSecondOnly}) {
        EXPECT_TRUE(Matches(*grammar, format->Write({&call, 1}))) << format->Write({&call, 1});
      }
      for (const ToolCall& call : {kLacking, kOtherCity, kOtherType, kUnknown}) {
        EXPECT_FALSE(Matches(*grammar, format->Write({&call, 1}))) << format->Write({&call, 1});
      }
      EXPECT_FALSE(Matches(*grammar, ""));
      EXPECT_FALSE(Matches(*grammar, "Some text."));
      EXPECT_FALSE(Matches(*grammar, format->Write(std::vector{kGood, kNothing})));
      const auto many = format->CallsGrammar(tools, ArgumentRule::kSchema, /*many=*/true, spelled);
      EXPECT_TRUE(Matches(*many, format->Write(std::vector{kGood, kNothing, kOptional})));
      EXPECT_FALSE(Matches(*many, format->Write(std::vector{kGood, kLacking})));
    }
  }
}

TEST(ArgumentsGrammar, HasTheMembersThatTheSchemaNames) {
  const auto closed = ArgumentsGrammar(Now(), ArgumentRule::kSchema);
  EXPECT_TRUE(Matches(*closed, R"({"zone": "x"})"));
  EXPECT_FALSE(Matches(*closed, R"({"other": 1})"));
  Tool elsewhere = Now();
  elsewhere.parameters = Json::parse(R"({"type": "object", "properties": {}, "$ref": "#/$defs/a", "$defs": {"a":
      {"type": "object", "properties": {"x": {"type": "integer"}}, "additionalProperties": false}}})");
  const auto referred = ArgumentsGrammar(elsewhere, ArgumentRule::kSchema);
  ASSERT_TRUE(referred.has_value()) << referred.error().message;
  EXPECT_TRUE(Matches(*referred, R"({"x": 1})"));
  Tool open = Now();
  open.parameters["additionalProperties"] = {{"type", "integer"}};
  EXPECT_TRUE(Matches(*ArgumentsGrammar(open, ArgumentRule::kSchema), R"({"other": 1})"));
  EXPECT_TRUE(Matches(*ArgumentsGrammar(Now(), ArgumentRule::kStrict), R"({"any": [1]})")) << "it is not strict";
}

TEST(CallGrammar, AFreeAnswerIsTextAndThenCalls) {
  for (const CallFormat* format : AllFormats()) {
    SCOPED_TRACE(format->name());
    const ToolDialect dialect{.format = format, .traits = {}, .markers = {}, .marker_texts = {}};
    const auto grammar = AnswerGrammar({.tools = {Weather(), Now()}, .parallel = false}, dialect, std::nullopt);
    ASSERT_TRUE(grammar.has_value() && grammar->has_value());
    const std::string call = format->Write({&kGood, 1});
    EXPECT_TRUE(Matches(**grammar, ""));
    EXPECT_TRUE(Matches(**grammar, "Some text, with a < and a [."));
    EXPECT_TRUE(Matches(**grammar, call));
    if (format->name() != "llama-3") {  // whose calls are whole answers
      EXPECT_TRUE(Matches(**grammar, "I look.\n" + call));
    }
    EXPECT_FALSE(Matches(**grammar, format->Write(std::vector{kGood, kGood})));
    EXPECT_FALSE(Matches(**grammar, format->Write({&kUnknown, 1})));
  }
}

ToolDialect Generic() {
  return {.format = &GenericFormat(), .traits = {}, .markers = {}, .marker_texts = {}};
}

TEST(AnswerGrammar, HoldsNobodyWithoutNeed) {
  EXPECT_FALSE(AnswerGrammar({}, Generic(), std::nullopt)->has_value());
  EXPECT_FALSE(AnswerGrammar({.tools = {Weather()}}, Generic(), std::nullopt)->has_value());
  EXPECT_FALSE(AnswerGrammar({.tools = {Weather()}, .use = ToolUse::kNever}, Generic(), std::nullopt)->has_value());
  Tool strict = Weather();
  strict.strict = true;
  EXPECT_TRUE(AnswerGrammar({.tools = {strict}}, Generic(), std::nullopt)->has_value());
}

TEST(AnswerGrammar, StandsBehindThoughtsThatThePromptHasOpened) {
  constexpr ThoughtStyle kTags = {"<think>", "</think>"};
  ToolDialect dialect = Generic();
  dialect.thoughts = &kTags;
  const auto grammar = AnswerGrammar({}, dialect, Grammar::Literal("Yes"), /*thinking=*/true);
  ASSERT_TRUE(grammar.has_value() && grammar->has_value());
  EXPECT_TRUE((*grammar)->Matches("Is it? </think>\n\nYes").value());
  EXPECT_TRUE((*grammar)->Matches("</think>Yes").value());
  EXPECT_FALSE((*grammar)->Matches("Yes").value());
  EXPECT_FALSE((*grammar)->Matches("a</think>b</think>Yes").value());
  EXPECT_FALSE(AnswerGrammar({}, dialect, std::nullopt, /*thinking=*/true)->has_value()) << "free answers stay free";
}

TEST(AnswerGrammar, NamesTheChannelWhereThereAreChannels) {
  ToolDialect dialect = Generic();
  dialect.format = &FormatOf("<|channel|> <|start|>assistant");
  ASSERT_EQ(dialect.format->name(), "harmony");
  const auto text = AnswerGrammar({}, dialect, Grammar::Literal("Yes"));
  EXPECT_TRUE((*text)->Matches("<|channel|>final<|message|>Yes").value());
  EXPECT_TRUE((*text)
                  ->Matches("<|channel|>analysis<|message|>So.<|end|><|start|>assistant<|channel|>final<|message|>Yes")
                  .value());
  EXPECT_FALSE((*text)->Matches("Yes").value());
  const auto calls = AnswerGrammar({.tools = {Now()}, .use = ToolUse::kAlways}, dialect, std::nullopt);
  EXPECT_TRUE((*calls)->Matches(" to=functions.now<|channel|>commentary json<|message|>{}").value());
  EXPECT_FALSE((*calls)->Matches("<|channel|>final<|message|>{}").value());
}

TEST(AnswerGrammar, OnlyTheNamedFunction) {
  const auto grammar =
      AnswerGrammar({.tools = {Weather(), Now()}, .use = ToolUse::kAlways, .only = "now"}, Generic(), std::nullopt);
  EXPECT_TRUE(Matches(**grammar, GenericFormat().Write({&kNothing, 1})));
  EXPECT_FALSE(Matches(**grammar, GenericFormat().Write({&kGood, 1})));
}

TEST(AnswerGrammar, AFreeAnswerHasTheRequestsForm) {
  const auto grammar = AnswerGrammar({.tools = {Now()}}, Generic(), Grammar::AnyJsonObject());
  EXPECT_TRUE(Matches(**grammar, "{\"a\": 1}"));
  EXPECT_TRUE(Matches(**grammar, GenericFormat().Write({&kNothing, 1})));
  EXPECT_FALSE(Matches(**grammar, "Some text."));
}

TEST(AnswerGrammar, WhatCannotBeKeptIsAnError) {
  Tool tool = Weather();
  tool.parameters["properties"]["city"] = {{"type", "string"}, {"minLength", 3}};
  for (const CallFormat* format : AllFormats()) {
    const ToolDialect dialect{.format = format, .traits = {}, .markers = {}, .marker_texts = {}};
    const auto grammar = AnswerGrammar({.tools = {tool}, .use = ToolUse::kAlways}, dialect, std::nullopt);
    const std::set<std::string> outside_json = {"qwen3-coder", "seed", "glm", "minimax"};
    if (!outside_json.contains(format->name())) {
      EXPECT_TRUE(grammar.has_value()) << format->name();
    } else {
      ASSERT_FALSE(grammar.has_value()) << format->name();
      EXPECT_THAT(grammar.error().message, HasSubstr("'get_weather' /properties/city: /minLength"));
    }
  }
}

}  // namespace
}  // namespace kvasir::server
