#include "server/tools/thoughts.h"

#include <gtest/gtest.h>

#include <vector>

#include "server/tools/answer_reader.h"

namespace kvasir::server {
namespace {

constexpr ThoughtStyle kTags = {"<think>", "</think>"};

// "(thoughts)answer", of a text that comes in pieces.
std::string Read(std::string_view text, bool inside, size_t piece) {
  ThoughtReader reader(kTags, inside);
  CallEvents events;
  std::string answer;
  for (size_t at = 0; at < text.size(); at += piece) answer += reader.Push(text.substr(at, piece), events);
  answer += reader.Finish(events);
  std::string thoughts;
  for (const CallEvent& event : events) {
    EXPECT_EQ(event.kind, CallEvent::Kind::kThought);
    EXPECT_NE(event.text, "");
    thoughts += event.text;
  }
  return "(" + thoughts + ")" + answer;
}

struct Sample {
  bool inside;
  const char* text;
  const char* shape;
};
constexpr Sample kSamples[] = {
    {false, "<think>\nIs it?\nYes.\n</think>\n\nIt is.\n", "(Is it?\nYes.)It is.\n"},
    {false, "\n <think>x</think>y", "(x)y"},
    {false, "<think></think>y", "()y"},
    {false, "<think>\n\n</think>\n\n", "()"},
    {false, "No thoughts, <think>not</think> here", "()No thoughts, <think>not</think> here"},
    {false, "  indented", "()  indented"},
    {false, "<thin", "()<thin"},
    {false, "<think>cut </thi", "(cut </thi)"},
    {true, "Hm.\n</think>\nYes </think>", "(Hm.)Yes </think>"},
    {true, " a < b </ c </think>d", "(a < b </ c)d"},
    {true, "never ends ", "(never ends )"},
    {true, "<think>again</think>x", "(<think>again)x"},
};

TEST(Thoughts, StandBeforeTheAnswerHoweverItIsCut) {
  for (const Sample& sample : kSamples) {
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{1000}}) {
      EXPECT_EQ(Read(sample.text, sample.inside, piece), sample.shape) << sample.text << " by " << piece;
    }
  }
}

TEST(Thoughts, ComeAsTheyAreWritten) {
  ThoughtReader reader(kTags, /*inside=*/true);
  CallEvents events;
  EXPECT_EQ(reader.Push("Let me see </", events), "");
  EXPECT_EQ(events, (CallEvents{{CallEvent::Kind::kThought, "Let me see"}}));
  EXPECT_EQ(reader.Push("think> Yes", events), "Yes");
  EXPECT_EQ(events.size(), 1u);
}

TEST(Thoughts, AreRecognisedByTheTemplate) {
  EXPECT_EQ(ThoughtsOf("{{ '<think>' }} ... {{ '</think>' }}")->close, "</think>");
  EXPECT_EQ(ThoughtsOf("<seed:think> </seed:think>")->open, "<seed:think>");
  EXPECT_EQ(ThoughtsOf("{{ messages }}"), nullptr);
  EXPECT_TRUE(kTags.BeginsIn("<|assistant|>\n<think>\n"));
  EXPECT_FALSE(kTags.BeginsIn("<think>\n\n</think>\n\n"));
}

TEST(Thoughts, StandBesideCalls) {
  const ToolDialect dialect{
      .format = &GenericFormat(), .traits = {}, .thoughts = &kTags, .markers = {}, .marker_texts = {}};
  ToolOptions tools;
  tools.tools = {
      {.name = "now", .description = "", .parameters = {{"type", "object"}, {"properties", Json::object()}}}};
  const std::string call = GenericFormat().Write(std::vector<ToolCall>{{"now", "{}"}});
  const AnswerParts parts = ReadAnswer("<think>What time?</think>\n\nI look.\n" + call, tools, dialect);
  EXPECT_EQ(parts.thoughts, "What time?");
  EXPECT_EQ(parts.text, "I look.");
  ASSERT_EQ(parts.calls.size(), 1u);
  EXPECT_EQ(ReadAnswer("late</think>No.", tools, dialect, /*thinking=*/true).thoughts, "late");
  ToolDialect joined = dialect;
  joined.separate_thoughts = false;
  EXPECT_EQ(ReadAnswer("<think>a</think>b", {}, joined).text, "<think>a</think>b");
}

}  // namespace
}  // namespace kvasir::server
