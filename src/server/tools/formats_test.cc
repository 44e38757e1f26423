// Every format reads what its models write; the texts are those of the published templates.
#include "server/tools/formats.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "server/tools/answer_reader.h"
#include "server/tools/calls_testing.h"
#include "server/tools/named_calls.h"
#include "server/tools/tagged_calls.h"

namespace kvasir::server {
namespace {

using Kind = CallEvent::Kind;

ToolDialect Dialect(const CallFormat& format) {
  return {.format = &format, .traits = {}, .thoughts = nullptr, .markers = {}, .marker_texts = {}};
}

const CallFormat& FormatNamed(std::string_view name) {
  for (const auto& format : CallFormats()) {
    if (format->name() == name) return *format;
  }
  EXPECT_EQ(name, "generic");
  return GenericFormat();
}

// "(thoughts)text|name(arguments)|name(arguments)"
std::string Shape(const AnswerParts& parts) {
  std::string shape = parts.thoughts.empty() ? parts.text : "(" + parts.thoughts + ")" + parts.text;
  for (const ToolCall& call : parts.calls) shape += "|" + call.name + "(" + call.arguments + ")";
  return shape;
}

std::string Read(std::string_view format, std::string_view text) {
  return Shape(ReadAnswer(text, {.tools = ToolsForTest()}, Dialect(FormatNamed(format))));
}

struct Sample {
  const char* format;
  std::string text;
  std::string shape;
};

const std::vector<Sample>& Samples() {
  static const std::vector<Sample> kSamples = {
      {"hermes",
       "Let me see.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>",
       "Let me see.|get_weather({\"city\": \"Paris\"})"},
      {"hermes",
       "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"arguments\": {\"days\": 2}, "
       "\"name\": "
       "\"get_weather\"}\n</tool_call>",
       "|now({})|get_weather({\"days\": 2})"},
      {"hermes", "<tool_call>{\"name\": \"now\", \"arguments\": \"{\\\"a\\\": 1}\", \"id\": 7}</tool_call> and more",
       " and more|now({\"a\": 1})"},
      {"hermes", "<tool_call>{\"name\": \"now\"}</tool_call>", "|now({})"},
      {"generic", "Sure!\n\n<tool_call>\n{\"name\": \"now\", \"arguments\": null}\n</tool_call>\n", "Sure!|now({})"},
      {"llama-3", "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Rio {\\\"}\\\"\"}}",
       "|get_weather({\"city\": \"Rio {\\\"}\\\"\"})"},
      {"llama-3", "<|python_tag|>{\"type\": \"function\", \"name\": \"now\", \"parameters\": {}}", "|now({})"},
      {"llama-3", "\n{\"name\": \"now\", \"parameters\": {}}; {\"name\": \"now\", \"parameters\": {\"a\": 1}}",
       "|now({})|now({\"a\": 1})"},
      {"mistral",
       "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}, \"id\": \"abcdefghi\"}]",
       "|get_weather({\"city\": \"Oslo\"})"},
      {"mistral",
       "[TOOL_CALLS] [{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"now\", \"arguments\": {\"a\": [1]}}]",
       "|now({})|now({\"a\": [1]})"},
      {"mistral-named", "Hm.[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Oslo\"}[TOOL_CALLS]now[ARGS]{}",
       "Hm.|get_weather({\"city\": \"Oslo\"})|now({})"},
      {"mistral-named", "[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{\"a\": 1}", "|now({\"a\": 1})"},
      {"command-r",
       "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"get_weather\", \"parameters\": {\"city\": "
       "\"Bonn\"}},\n"
       "    {\"tool_call_id\": \"1\", \"tool_name\": \"now\", \"parameters\": {}}\n]<|END_ACTION|>",
       "|get_weather({\"city\": \"Bonn\"})|now({})"},
      {"granite", "<|tool_call|>[{\"name\": \"now\", \"arguments\": {}}]", "|now({})"},
      {"granite", "<|tool_call|> {\"name\": \"now\", \"arguments\": {}}", "|now({})"},
      {"apertus", "<|tools_prefix|>[{\"get_weather\": {\"city\": \"Bern\"}}, {\"now\": {}}]<|tools_suffix|>",
       "|get_weather({\"city\": \"Bern\"})|now({})"},
      {"kimi",
       "Yes.<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"
       "\"city\": "
       "\"Lima\"}<|tool_call_end|><|tool_call_begin|>functions.now:12<|tool_call_argument_begin|>{}<|tool_call_end|>"
       "<|tool_calls_section_end|>",
       "Yes.|get_weather({\"city\": \"Lima\"})|now({})"},
      {"deepseek",
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Kyōto\"}<｜tool▁call▁end｜>"
       "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       "|get_weather({\"city\": \"Kyōto\"})|now({})"},
      {"deepseek-r1",
       "<think>\nwell\n</"
       "think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
       "{\"city\": \"Paris\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```"
       "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       "<think>\nwell\n</think>|get_weather({\"city\": \"Paris\"})|now({})"},
      {"qwen3-coder",
       "I look.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nNew "
       "\"York\"\n\nUS\n</parameter>\n<parameter=days>\n3\n"
       "</parameter>\n<parameter=exact>\nTrue\n</parameter>\n<parameter=tags>\n[\"a\", 1]\n</parameter>\n</function>\n"
       "</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>",
       "I look.|get_weather({\"city\": \"New \\\"York\\\"\\n\\nUS\", \"days\": 3, \"exact\": true, \"tags\": "
       "[\"a\",1]})|now({})"},
      {"qwen3-coder", "<function=now>\n</function>", "|now({})"},
      {"seed",
       "<seed:tool_call>\n<function=get_weather>\n<parameter=city>a\nb</parameter>\n<parameter=days>x</parameter>\n</"
       "function>\n"
       "</seed:tool_call>",
       "|get_weather({\"city\": \"a\\nb\", \"days\": \"x\"})"},
      {"glm",
       "\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n<arg_key>days</arg_key>\n"
       "<arg_value>2</arg_value>\n</tool_call>\n<tool_call>now\n</tool_call>",
       "|get_weather({\"city\": \"Rome\", \"days\": 2})|now({})"},
      {"minimax",
       "Ok.\n<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Riga</parameter>\n</invoke>\n"
       "<invoke name=\"now\">\n</invoke>\n</minimax:tool_call>",
       "Ok.|get_weather({\"city\": \"Riga\"})|now({})"},
      {"lfm2",
       "<|tool_call_start|>[get_weather(city=\"Ulm\", days=2, exact=False, tags=['x', None]), "
       "now()]<|tool_call_end|>Done.",
       "Done.|get_weather({\"city\": \"Ulm\", \"days\": 2, \"exact\": false, \"tags\": [\"x\",null]})|now({})"},
      {"harmony",
       "<|channel|>analysis<|message|>They want the weather.<|end|><|start|>assistant<|channel|>commentary<|message|>I "
       "look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather "
       "<|constrain|>json<|message|>{\"city\": \"Paris\"}<|call|>",
       "(They want the weather.)I look.|get_weather({\"city\": \"Paris\"})"},
      {"harmony",
       " to=functions.now<|channel|>commentary json<|message|>{}<|call|><|start|>assistant to=functions.now<|channel|>"
       "commentary json<|message|>{\"a\": 1",
       "|now({})|now({\"a\": 1)"},
      {"harmony", "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b < c<|return|>",
       "(a)b < c"},
      {"harmony", "<|channel|>final<|message|>cut off<|en", "cut off<|en"},
      {"harmony", "<|channel|>analysis<|message|>a<|end|><|start|>assis", "(a)"},
      {"harmony", "No channels here, to=you", "No channels here, to=you"},
      {"harmony", "<|channel|>commentary to=functions.rm<|message|>{}<|call|>",
       "<|channel|>commentary to=functions.rm<|message|>{}"},
      {"harmony", "<|channel|>" + std::string(2000, 'x'), "<|channel|>" + std::string(2000, 'x')},
      // What looks like a call and is none is text, and so is what stands around calls.
      {"hermes", "Use <tool_call> tags, like <tool_call>{\"name\": \"rm\", \"arguments\": {}}</tool_call>!",
       "Use <tool_call> tags, like <tool_call>{\"name\": \"rm\", \"arguments\": {}}</tool_call>!"},
      {"hermes", "<tool_call> <tool_call>{\"name\": \"now\"}</tool_call>", "<tool_call>|now({})"},
      {"hermes", "a < b and <tool", "a < b and <tool"},
      {"hermes", "  spaces stay  \n", "  spaces stay  \n"},
      {"llama-3", "{\"name\": \"rm\", \"parameters\": {}}", "{\"name\": \"rm\", \"parameters\": {}}"},
      {"llama-3", "See: {\"name\": \"now\", \"parameters\": {}}", "See: {\"name\": \"now\", \"parameters\": {}}"},
      {"llama-3", "{\"answer\": 42}", "{\"answer\": 42}"},
      {"mistral-named", "[TOOL_CALLS]rm[ARGS]{}", "[TOOL_CALLS]rm[ARGS]{}"},
      {"qwen3-coder", "<function=rm>\n</function>", "<function=rm>\n</function>"},
      {"lfm2", "<|tool_call_start|>[os.exit(1)]<|tool_call_end|>", "<|tool_call_start|>[os.exit(1)]<|tool_call_end|>"},
      // A call that was cut off has the arguments that there were.
      {"hermes", "<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\": \"b", "|now({\"a\": \"b)"},
      {"hermes", "<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\": 1}", "|now({\"a\": 1})"},
      {"hermes", "<tool_call>\n{\"name\": \"now\", \"arg", "<tool_call>\n{\"name\": \"now\", \"arg"},
      {"kimi", "<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{\"a\"", "|now({\"a\")"},
      {"qwen3-coder", "<tool_call>\n<function=get_weather>\n<parameter=city>\nPa", "|get_weather({\"city\": \"Pa)"},
      {"hermes", "<tool_call>{\"name\": \"now\", \"arguments\": {}} oops", " oops|now({})"},
      // And one whose argument has a name that is none ends there.
      {"lfm2", "<|tool_call_start|>[now(" + std::string(300, 'x') + "=1)]", std::string(300, 'x') + "=1)]|now({})"},
  };
  return kSamples;
}

TEST(Formats, ReadWhatTheirModelsWrite) {
  for (const Sample& sample : Samples()) {
    EXPECT_EQ(Read(sample.format, sample.text), sample.shape) << sample.format << ": " << sample.text;
  }
}

std::string Shown(const CallEvents& events) {
  std::string text;
  for (const CallEvent& event : events) text += fmt::format("{}<{}> ", static_cast<int>(event.kind), event.text);
  return text;
}

TEST(Formats, TheOutcomeDoesNotDependOnTheCuts) {
  for (const Sample& sample : Samples()) {
    const CallFormat& format = FormatNamed(sample.format);
    const CallEvents events = EventsOf(format, sample.text, {});
    EXPECT_EQ(FaultOf(format, events, sample.text), "") << sample.text;
    const std::string whole = Shown(events);
    std::vector<size_t> everywhere;
    for (size_t i = 1; i < sample.text.size(); ++i) {
      EXPECT_EQ(Shown(EventsOf(format, sample.text, {{i}})), whole) << sample.text << " cut at " << i;
      everywhere.push_back(i);
    }
    EXPECT_EQ(Shown(EventsOf(format, sample.text, everywhere)), whole) << sample.text;
  }
}

// Pieces of calls in any order: nothing crashes, nothing depends on the cuts, and calls are well nested.
RC_GTEST_PROP(Formats, AnythingMayComeInAnyPieces, ()) {
  const Sample& base = Samples()[*rc::gen::inRange<size_t>(0, Samples().size())];
  std::string mixed;
  for (int i = *rc::gen::inRange(1, 6); i > 0; --i) {
    const Sample& other = Samples()[*rc::gen::inRange<size_t>(0, Samples().size())];
    const std::string& text = *rc::gen::inRange(0, 3) == 0 ? other.text : base.text;
    const auto begin = *rc::gen::inRange<size_t>(0, text.size());
    mixed += text.substr(begin, *rc::gen::inRange<size_t>(0, text.size() - begin + 1));
  }
  std::vector<size_t> cuts;
  for (size_t at = 0; at < mixed.size();) {
    at += *rc::gen::inRange<size_t>(1, 12);
    if (at < mixed.size()) cuts.push_back(at);
  }
  const CallFormat& format = FormatNamed(base.format);
  const CallEvents whole = EventsOf(format, mixed, {});
  const CallEvents in_pieces = EventsOf(format, mixed, cuts);
  RC_TAG(base.format);
  RC_LOG() << mixed << "\n" << Shown(in_pieces) << "\n" << Shown(whole);
  RC_ASSERT(in_pieces == whole);
  RC_ASSERT(FaultOf(format, whole, mixed) == "");
}

// What is held because it may become a call has a limit, and where it lies does not depend on the cuts either.
TEST(Formats, AHeadWithoutEndIsText) {
  for (const size_t length : {size_t{1000}, size_t{100'000}}) {
    const std::string id(length, 'x');
    const std::string text = "<tool_call>{\"id\": \"" + id + "\", \"name\": \"now\"}</tool_call>";
    const CallFormat& format = FormatNamed("hermes");
    const CallEvents whole = EventsOf(format, text, {});
    EXPECT_EQ(whole.front().kind, length == 1000 ? Kind::kBegin : Kind::kContent);
    EXPECT_EQ(FaultOf(format, whole, text), "");
    const std::vector<size_t> cuts = {10, length / 2, length + 24};
    EXPECT_EQ(Shown(EventsOf(format, text, cuts)), Shown(whole));
  }
}

TEST(Formats, WhatTheyWriteTheyRead) {
  const std::vector<ToolCall> calls = {{"get_weather", R"({"city":"San \"José\"","days":3})"}, {"now", "{}"}};
  std::vector<const CallFormat*> formats = {&GenericFormat()};
  for (const auto& format : CallFormats()) formats.push_back(format.get());
  for (const CallFormat* format : formats) {
    const std::string text = format->Write(calls);
    const AnswerParts parts = ReadAnswer(text, {.tools = ToolsForTest()}, Dialect(*format));
    EXPECT_EQ(parts.text, "") << format->name();
    ASSERT_EQ(parts.calls.size(), 2u) << format->name() << ": " << text;
    for (size_t i = 0; i < calls.size(); ++i) {
      EXPECT_EQ(parts.calls[i].name, calls[i].name) << format->name();
      EXPECT_EQ(Json::parse(parts.calls[i].arguments), Json::parse(calls[i].arguments)) << format->name();
    }
  }
}

// docs/tools.md, "How to add a format".
TEST(Formats, TheExampleOfTheTutorialWorks) {
  const auto format =
      NamedCalls({.name = "example", .signs = {"<<call "}, .open = "<<call ", .name_end = " ", .close = ">>"});
  EXPECT_EQ(Shape(ReadAnswer("Well. <<call now {\"a\": 1}>>", {.tools = ToolsForTest()}, Dialect(*format))),
            "Well.|now({\"a\": 1})");
  EXPECT_EQ(format->Write(std::vector<ToolCall>{{"now", "{}"}}), "<<call now {}>>");
}

TEST(Formats, ContentBeforeACallIsNotHeldBack) {
  AnswerReader reader({.tools = ToolsForTest()}, Dialect(FormatNamed("hermes")), /*thinking=*/false);
  EXPECT_EQ(reader.Push("Let me"), (CallEvents{{Kind::kContent, "Let me"}}));
  EXPECT_EQ(reader.Push(" see <to"), (CallEvents{{Kind::kContent, " see"}}));
  EXPECT_EQ(reader.Push("ol_call>{\"name\": \"now\", "), CallEvents{});
  EXPECT_EQ(reader.Push("\"arguments\": {\"a\""), (CallEvents{{Kind::kBegin, "now"}, {Kind::kArguments, "{\"a\""}}));
  EXPECT_EQ(reader.Push(": 1}"), (CallEvents{{Kind::kArguments, ": 1}"}}));
  EXPECT_EQ(reader.Push("}"), (CallEvents{{Kind::kEnd, ""}}));
  EXPECT_EQ(reader.Push("</tool_call>\n"), CallEvents{});
  EXPECT_EQ(reader.Finish(), CallEvents{});
  EXPECT_EQ(reader.calls(), 1);
}

TEST(Formats, WithoutToolsAllIsText) {
  const std::string call = GenericFormat().Write(std::vector<ToolCall>{{"now", "{}"}});
  EXPECT_EQ(Shape(ReadAnswer(call, {}, Dialect(GenericFormat()))), call);
  EXPECT_EQ(Shape(ReadAnswer(call, {.tools = ToolsForTest(), .use = ToolUse::kNever}, Dialect(GenericFormat()))), call);
  // Only what may be called is a call.
  EXPECT_EQ(Shape(ReadAnswer(call, {.tools = ToolsForTest(), .only = "get_weather"}, Dialect(GenericFormat()))), call);
}

TEST(ArgumentJson, FollowsTheSchema) {
  EXPECT_EQ(ArgumentJson("42", {{"type", "string"}}), "\"42\"");
  EXPECT_EQ(ArgumentJson(" 42 ", {{"type", "integer"}}), "42");
  EXPECT_EQ(ArgumentJson("x", {{"type", "integer"}}), "\"x\"");
  EXPECT_EQ(ArgumentJson("42", {{"enum", {"42", "43"}}}), "\"42\"");
  EXPECT_EQ(ArgumentJson("None", {{"type", {"string", "null"}}}), "null");
  EXPECT_EQ(ArgumentJson("a \"b\"\n", Json()), "\"a \\\"b\\\"\\n\"");
}

}  // namespace
}  // namespace kvasir::server
