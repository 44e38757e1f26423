#include "server/tools/tool_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/tools/answer_reader.h"
#include "server/tools/formats.h"

namespace kvasir::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ToolOptions Tools() {
  const Json weather = {{"type", "object"},
                        {"properties", {{"city", {{"type", "string"}, {"description", "where"}}}}},
                        {"required", {"city"}}};
  return {.tools = {{.name = "get_weather", .description = "What it is like outside.", .parameters = weather}}};
}

Json Message(const char* role, Json content) {
  return {{"role", role}, {"content", std::move(content)}};
}

Json CallOf(const char* id, Json arguments) {
  return {
      {"id", id}, {"type", "function"}, {"function", {{"name", "get_weather"}, {"arguments", std::move(arguments)}}}};
}

// A question; with `calls` the answer, and with `results` what came of it.
Json Conversation(bool calls, bool results) {
  Json messages = Json::array({Message("user", "How is Oslo?")});
  if (calls) {
    Json answer = Message("assistant", nullptr);
    answer["tool_calls"] = Json::array({CallOf("call_1234567890", {{"city", "Oslo"}})});
    messages.push_back(answer);
  }
  if (results) {
    Json result = Message("tool", "snow and wind");
    result["tool_call_id"] = "call_1234567890";
    messages.push_back(result);
  }
  return {{"messages", messages}, {"add_generation_prompt", !calls || results}};
}

std::string Apply(const ChatTemplate& chat_template, const ToolDialect& dialect, Json conversation,
                  const ToolOptions& tools) {
  const auto text = chat_template.Apply(DumpJson(WithTools(std::move(conversation), tools, dialect)));
  EXPECT_TRUE(text.has_value()) << text.error().message;
  return text.value_or("");
}

std::string Published(const std::string& name) {
  std::ifstream file(std::filesystem::path(KVASIR_SHARED_DATA "/templates") / (name + ".jinja"), std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Known {
  const char* file;
  const char* format;
};
constexpr Known kPublished[] = {
    {"Apertus-8B-Instruct", "apertus"},
    {"ByteDance-Seed-OSS", "seed"},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "command-r"},
    {"GLM-4.6", "glm"},
    {"HuggingFaceTB-SmolLM3-3B", "generic"},
    {"Kimi-K2-Instruct", "kimi"},
    {"LFM2-8B-A1B", "lfm2"},
    {"MiniMax-M2", "minimax"},
    {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes"},
    {"Qwen-Qwen2.5-7B-Instruct", "hermes"},
    {"Qwen-Qwen3-0.6B", "hermes"},
    {"Qwen3-Coder", "qwen3-coder"},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-r1"},
    {"deepseek-ai-DeepSeek-V3.1", "deepseek"},
    {"google-gemma-2-2b-it", "generic"},
    {"ibm-granite-granite-3.3-2B-Instruct", "granite"},
    {"meta-llama-Llama-3.1-8B-Instruct", "llama-3"},
    {"meta-llama-Llama-3.2-3B-Instruct", "llama-3"},
    {"microsoft-Phi-3.5-mini-instruct", "generic"},
    {"mistralai-Mistral-Nemo-Instruct-2407", "mistral"},
    {"openai-gpt-oss-120b", "harmony"},
    {"unsloth-mistral-Devstral-Small-2507", "mistral-named"},
};

class PublishedTemplates : public testing::TestWithParam<Known> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(KVASIR_SHARED_DATA "/templates")) GTEST_SKIP() << "no shared data beside the checkout";
    auto parsed = ChatTemplate::Parse(Published(GetParam().file), "<s>", "</s>");
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    template_ = std::make_unique<ChatTemplate>(std::move(*parsed));
    dialect_ = DialectOf(*template_);
  }

  std::unique_ptr<ChatTemplate> template_;
  ToolDialect dialect_;
};

TEST_P(PublishedTemplates, AreRecognised) {
  EXPECT_EQ(dialect_.format->name(), GetParam().format);
}

// Whatever the template knows by itself: tools, calls and results all reach the model, and a call stands in the prompt
// as the model would write it.
TEST_P(PublishedTemplates, ShowToolsCallsAndResults) {
  const ToolOptions tools = Tools();
  const std::string question = Apply(*template_, dialect_, Conversation(false, false), tools);
  EXPECT_THAT(question, HasSubstr("get_weather"));
  EXPECT_THAT(question, HasSubstr("city"));
  const std::string all = Apply(*template_, dialect_, Conversation(true, true), tools);
  EXPECT_THAT(all, HasSubstr("snow and wind"));

  const std::string called = Apply(*template_, dialect_, Conversation(true, false), tools);
  const size_t asked = called.find("How is Oslo?");
  ASSERT_NE(asked, std::string::npos);
  std::string answer = called.substr(asked);
  if (called.starts_with(question)) answer = called.substr(question.size());
  const AnswerParts parts = ReadAnswer(answer, tools, dialect_);
  ASSERT_EQ(parts.calls.size(), 1u) << called;
  EXPECT_EQ(parts.calls[0].name, "get_weather");
  EXPECT_EQ(Json::parse(parts.calls[0].arguments), Json({{"city", "Oslo"}})) << called;
}

// Also where the template knows one call per answer only.
TEST_P(PublishedTemplates, ShowEveryCallOfAnAnswer) {
  Json conversation = Conversation(true, true);
  Json& messages = conversation["messages"];
  messages[1]["tool_calls"].push_back(CallOf("call_9876543210", {{"city", "Bergen"}}));
  messages.push_back(messages.back());
  messages.back()["tool_call_id"] = "call_9876543210";
  messages.back()["content"] = "rain, as ever";
  const std::string text = Apply(*template_, dialect_, conversation, Tools());
  const size_t first = text.find("Oslo", text.find("How is Oslo?") + 12);
  for (const char* part : {"Bergen", "snow and wind", "rain, as ever"}) EXPECT_THAT(text, HasSubstr(part));
  EXPECT_LT(first, text.find("Bergen"));
  EXPECT_LT(text.find("snow and wind"), text.find("rain, as ever"));
}

TEST_P(PublishedTemplates, DoNotMentionToolsThatMayNotBeCalled) {
  ToolOptions tools = Tools();
  tools.use = ToolUse::kNever;
  EXPECT_THAT(Apply(*template_, dialect_, Conversation(false, false), tools), Not(HasSubstr("get_weather")));
}

INSTANTIATE_TEST_SUITE_P(All, PublishedTemplates, testing::ValuesIn(kPublished), [](const auto& given) {
  std::string name = given.param.file;
  std::erase_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
  return name;
});

TEST(ToolPrompt, ATemplateThatKnowsNothingOfToolsGetsTexts) {
  const auto plain = ChatTemplate::Parse("{% for m in messages %}[{{ m.role }}] {{ m.content + '\\n' }}{% endfor %}");
  const ToolDialect dialect = DialectOf(*plain);
  EXPECT_TRUE(dialect.traits.system);
  EXPECT_FALSE(dialect.traits.tools);
  EXPECT_FALSE(dialect.traits.calls);
  Json conversation = Conversation(true, true);
  conversation["messages"].insert(conversation["messages"].begin(), Message("system", "Be kind."));
  const std::string text = Apply(*plain, dialect, conversation, Tools());
  EXPECT_THAT(text, HasSubstr("[system] Be kind.\n\n# Tools"));
  EXPECT_THAT(text,
              HasSubstr("[assistant] <tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\":\"Oslo\"}}"));
  EXPECT_THAT(text, HasSubstr("[user] <tool_response>\nsnow and wind\n</tool_response>"));
}

TEST(ToolPrompt, UserAndAssistantTakeTurns) {
  const std::string source =
      "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) or m.role == 'system' %}"
      "{{ raise_exception('turns') }}{% endif %}[{{ m.role }}] {{ m.content }}\n{% endfor %}";
  const auto strict = ChatTemplate::Parse(source);
  const ToolDialect dialect = DialectOf(*strict);
  EXPECT_FALSE(dialect.traits.system);
  Json conversation = Conversation(true, true);
  conversation["messages"].push_back(Message("user", "Thanks. And now?"));
  const std::string text = Apply(*strict, dialect, conversation, Tools());
  EXPECT_THAT(text, HasSubstr("[user] # Tools"));
  EXPECT_THAT(text, HasSubstr("[user] <tool_response>\nsnow and wind\n</tool_response>\nThanks. And now?"));
}

TEST(ToolPrompt, TextBesideACallIsNotLost) {
  const auto chat_template = ChatTemplate::Parse(Published("deepseek-ai-DeepSeek-R1-Distill-Llama-8B"), "<s>", "</s>");
  if (!chat_template || chat_template->source().empty()) GTEST_SKIP() << "no shared data beside the checkout";
  const ToolDialect dialect = DialectOf(*chat_template);
  EXPECT_TRUE(dialect.traits.content_is_null);
  EXPECT_TRUE(dialect.traits.arguments_as_text);
  Json conversation = Conversation(true, true);
  conversation["messages"][1]["content"] = "I look outside.";
  const std::string text = Apply(*chat_template, dialect, conversation, Tools());
  EXPECT_THAT(text, HasSubstr("I look outside."));
  EXPECT_THAT(text, HasSubstr("<｜tool▁sep｜>get_weather"));
}

TEST(ToolPrompt, EachResultFollowsItsCall) {
  const auto one = ChatTemplate::Parse(
      "{% for m in messages %}[{{ m.role }}]{% if m.tool_calls %}{{ m.tool_calls[0].function.name }}"
      "{{ m.tool_calls[0].function.arguments | tojson }}{% else %}{{ m.content }}{% endif %}{% endfor %}{{ tools }}");
  const ToolDialect dialect = DialectOf(*one);
  EXPECT_TRUE(dialect.traits.one_call);
  const auto result = [](const char* id, const char* text) -> Json {
    return {{"role", "tool"}, {"tool_call_id", id}, {"content", text}};
  };
  Json answer = Message("assistant", nullptr);
  answer["tool_calls"] = Json::array({CallOf("a", {{"city", "A"}}), CallOf("b", {{"city", "B"}})});
  const Json messages =
      Json::array({Message("user", "?"), answer, result("b", "rB"), result("a", "rA"), Message("user", "!")});
  EXPECT_THAT(Apply(*one, dialect, {{"messages", messages}}, {}),
              testing::StartsWith("[user]?[assistant]get_weather{\"city\": \"A\"}[tool]rA"
                                  "[assistant]get_weather{\"city\": \"B\"}[tool]rB[user]!"));
}

TEST(ToolPrompt, ThoughtsAreCalledAsTheTemplateCallsThem) {
  const std::string rest = "{{ '<think>' }}{{ '</think>' }}";
  const auto oss = ChatTemplate::Parse("{% for message in messages %}{{ message.thinking }}{% endfor %}" + rest);
  const auto usual = ChatTemplate::Parse("{% for m in messages %}{{ m.reasoning_content }}{% endfor %}" + rest);
  Json answer = Message("assistant", "Yes.");
  answer["reasoning_content"] = "so it seems";
  const Json conversation = {{"messages", Json::array({answer})}};
  for (const auto* each : {&*oss, &*usual}) {
    EXPECT_THAT(Apply(*each, DialectOf(*each), conversation, {}), HasSubstr("so it seems"));
  }
}

TEST(ToolPrompt, ConversationsWithoutToolsStayAsTheyAre) {
  const auto plain = ChatTemplate::Parse("{{ messages[0].content }}");
  const Json conversation = Conversation(false, false);
  EXPECT_EQ(WithTools(conversation, {}, DialectOf(*plain)), conversation);
}

TEST(ShortCallId, HasNineLettersAndDigits) {
  EXPECT_EQ(ShortCallId("abcDEF123"), "abcDEF123");
  const std::string made = ShortCallId("call_1");
  EXPECT_EQ(made.size(), 9u);
  EXPECT_EQ(ShortCallId(made), made);
  EXPECT_EQ(ShortCallId("call_1"), made);
  EXPECT_NE(ShortCallId("call_2"), made);
}

}  // namespace
}  // namespace kvasir::server
