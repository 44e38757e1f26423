#include "jinja/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir::jinja {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

std::string Apply(std::string_view source, const Json& request) {
  const auto parsed = Template::Parse(source);
  if (!parsed) return parsed.error().message;
  const auto chat = ParseChatRequest(request);
  if (!chat) return chat.error().message;
  const auto text = ApplyChatTemplate(*parsed, *chat, "<s>", "</s>");
  return text ? *text : text.error().message;
}

TEST(Chat, AbsentMembersAreNone) {
  EXPECT_EQ(Apply("{{ bos_token }}{{ messages }}{{ tools }}{{ documents }}{{ add_generation_prompt }}{{ eos_token }}",
                  {{"messages", Json::array()}}),
            "<s>[]NoneNoneFalse</s>");
}

TEST(Chat, ExtraMembersAreVariables) {
  const Json request = {{"messages", Json::array()},
                        {"enable_thinking", false},
                        {"chat_template_kwargs", {{"effort", "high"}}},
                        {"add_generation_prompt", true}};
  EXPECT_EQ(Apply("{{ enable_thinking }} {{ effort }} {{ add_generation_prompt }} {{ nope is defined }}", request),
            "False high True False");
}

TEST(Chat, ExtraVariablesDoNotReplaceTheMembers) {
  const Json request = {{"messages", {1}}, {"chat_template_kwargs", {{"messages", {2}}, {"bos_token", "B"}}}};
  EXPECT_EQ(Apply("{{ messages[0] }}{{ bos_token }}", request), "1B");
}

TEST(Chat, WrongTypesAreNamed) {
  EXPECT_THAT(Apply("", Json::array()), HasSubstr("'messages'"));
  EXPECT_THAT(Apply("", Json::object()), HasSubstr("needs the member 'messages'"));
  EXPECT_THAT(Apply("", {{"messages", "x"}}), HasSubstr("'messages'"));
  EXPECT_THAT(Apply("", {{"messages", Json::array()}, {"tools", 1}}), HasSubstr("'tools'"));
  EXPECT_THAT(Apply("", {{"messages", Json::array()}, {"add_generation_prompt", 1}}),
              HasSubstr("'add_generation_prompt'"));
  EXPECT_THAT(Apply("", {{"messages", Json::array()}, {"chat_template_kwargs", 1}}),
              HasSubstr("'chat_template_kwargs'"));
}

}  // namespace
}  // namespace kvasir::jinja
