// The parts of the chat that need no model: lines, messages, commands, saved files.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/chat_commands.h"
#include "cli/conversation.h"
#include "cli/message_reader.h"
#include "cli/output.h"

namespace kvasir::cli {
namespace {

std::vector<std::string> Messages(const std::vector<std::string>& lines) {
  MessageReader reader;
  std::vector<std::string> messages;
  for (const std::string& line : lines) {
    if (auto message = reader.Push(line)) messages.push_back(*message);
  }
  if (auto rest = reader.Finish()) messages.push_back("unfinished: " + *rest);
  return messages;
}

using List = std::vector<std::string>;

TEST(MessageReader, OneLineIsOneMessage) {
  EXPECT_EQ(Messages({"hello", "", "world"}), (List{"hello", "", "world"}));
}

TEST(MessageReader, ABackslashGoesOn) {
  EXPECT_EQ(Messages({"one\\", "two\\", "three", "next"}), (List{"one\ntwo\nthree", "next"}));
  EXPECT_EQ(Messages({"one\\"}), (List{"unfinished: one"}));
}

TEST(MessageReader, QuotesKeepEverything) {
  EXPECT_EQ(Messages({"\"\"\"", "a\\", "", "/exit", "\"\"\"", "b"}), (List{"a\\\n\n/exit", "b"}));
  EXPECT_EQ(Messages({"\"\"\"a", "b\"\"\""}), (List{"a\nb"}));
  EXPECT_EQ(Messages({"\"\"\"a\"\"\""}), (List{"a"}));
  EXPECT_EQ(Messages({"\"\"\"", "", "a", "\"\"\""}), (List{"\na"}));
  EXPECT_EQ(Messages({"\"\"\"", "\"\"\""}), (List{""}));
  EXPECT_EQ(Messages({"\"\"\"", "a"}), (List{"unfinished: a"}));
}

TEST(MessageReader, FinishStartsAfresh) {
  MessageReader reader;
  EXPECT_FALSE(reader.Push("\"\"\"a"));
  EXPECT_TRUE(reader.open());
  EXPECT_EQ(reader.Finish(), "a");
  EXPECT_FALSE(reader.open());
  EXPECT_EQ(reader.Push("b"), "b");
}

TEST(ChatLine, CommandsMessagesAndMistakes) {
  EXPECT_EQ(ParseChatLine("hello /exit").verb, std::nullopt);
  EXPECT_EQ(ParseChatLine("hello /exit").text, "hello /exit");
  EXPECT_EQ(ParseChatLine("/exit").verb, ChatVerb::kExit);
  EXPECT_EQ(ParseChatLine("/quit").verb, ChatVerb::kExit);
  const ChatLine save = ParseChatLine("/save  my chat.json ");
  EXPECT_EQ(save.verb, ChatVerb::kSave);
  EXPECT_EQ(save.text, "my chat.json");
  EXPECT_EQ(ParseChatLine("//usr/bin is a folder").text, "/usr/bin is a folder");
  EXPECT_EQ(ParseChatLine("/exit\nmore").verb, std::nullopt);
  const ChatLine wrong = ParseChatLine("/rest now");
  EXPECT_EQ(wrong.verb, std::nullopt);
  EXPECT_NE(wrong.error.find("did you mean /reset?"), std::string::npos) << wrong.error;
  EXPECT_NE(ParseChatLine("/frobnicate").error.find("/help lists them"), std::string::npos);
}

TEST(ChatLine, HelpNamesEveryCommand) {
  for (const ChatCommandInfo& command : ChatCommands()) {
    EXPECT_NE(ChatHelp().find(command.name), std::string::npos);
    EXPECT_EQ(ParseChatLine(command.name).verb, command.verb);
  }
}

TEST(Conversation, WhatIsSavedCanBeLoaded) {
  const std::vector<Message> messages = {
      {"system", "Be kind."}, {"user", "line\nbreak \"quoted\" \xc3\xa9"}, {"assistant", ""}};
  EXPECT_EQ(ParseMessages(SavedChat("model", messages)).value(), messages);
  EXPECT_EQ(ParseMessages(MessagesJson(messages).dump()).value(), messages);
}

TEST(Conversation, ErrorsNameTheMessage) {
  EXPECT_TRUE(ParseMessages("{").error().message.starts_with("it is not JSON: line 1, column 2: "));
  EXPECT_EQ(ParseMessages("3").error().message, "it holds no list of messages");
  EXPECT_EQ(ParseMessages(R"({"messages": 3})").error().message, "it holds no list of messages");
  EXPECT_EQ(ParseMessages("[3]").error().message, "message 1 is not an object");
  EXPECT_EQ(ParseMessages(R"([{"role": "user"}])").error().message, "message 1 has no text \"content\"");
  EXPECT_NE(ParseMessages(R"([{"role": "tool", "content": ""}])").error().message.find("'tool'"), std::string::npos);
  EXPECT_FALSE(ParseMessages(R"([{"role":"user","content":""},{"role":"system","content":""}])"));
}

TEST(Output, FilesAreReplacedAsAWhole) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "kvasir_cli_output_test";
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "file").string();
  ASSERT_TRUE(WriteFileAtomically(path, "first"));
  ASSERT_TRUE(WriteFileAtomically(path, std::string("sec\0nd", 6)));
  EXPECT_EQ(ReadTextFile(path).value(), std::string("sec\0nd", 6));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  EXPECT_FALSE(WriteFileAtomically((folder / "no" / "such" / "folder").string(), "x"));
  EXPECT_FALSE(WriteFileAtomically(folder.string(), "x"));
  EXPECT_EQ(ReadTextFile(path + "x").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ReadTextFile(folder.string()).error().code, ErrorCode::kIo);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace kvasir::cli
