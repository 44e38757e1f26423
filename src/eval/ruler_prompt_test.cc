#include "eval/ruler_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/tiny_model_test_support.h"

namespace kvasir::eval {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const Haystack kHaystack(1);

// One token per byte, and a beginning-of-text token.
const Tokenizer& Bytes() {
  static const auto tokenizer = Tokenizer::Load(model::TinyModel{}.Write("ruler-prompt"));
  return **tokenizer;
}

const RulerTask& Task(size_t index) {
  return RulerTaskTable()[index];
}

// A vocabulary of bytes spells the mark that SentencePiece has for a space.
std::string TextOf(std::span<const int32_t> tokens) {
  constexpr std::string_view kSpaceMark = "\xe2\x96\x81";
  std::string text = Bytes().Decode(tokens, /*skip_special=*/false).value();
  for (size_t at = text.find(kSpaceMark); at != std::string::npos; at = text.find(kSpaceMark)) {
    text.replace(at, kSpaceMark.size(), " ");
  }
  return text;
}

TEST(PromptWriter, FillsTheContextLessTheAnswer) {
  const PromptWriter writer(Bytes(), nullptr);
  for (const RulerTask& task : RulerTaskTable()) {
    for (const int context : {4096, 6000, 9973}) {
      const RulerFrame frame{.haystack = kHaystack, .context_tokens = context};
      const Dice dice = Dice::For(1, task.name, 0);
      const auto prompt = writer.Fill(task, dice, frame);
      if (!prompt) {  // counting words needs room: a token is a byte here
        EXPECT_EQ(task.name, "cwe") << prompt.error().message;
        continue;
      }
      const auto tokens = static_cast<int>(prompt->tokens.size());
      EXPECT_LE(tokens + task.answer_tokens, context);
      // Not even three lines of noise more would fit (an entry of a list takes less).
      EXPECT_GT(tokens + task.answer_tokens, context - 300) << task.name;
      EXPECT_EQ(writer.Fill(task, dice, frame)->tokens, prompt->tokens);
    }
  }
}

TEST(PromptWriter, CutsBeforeTheQuestion) {
  const PromptWriter writer(Bytes(), nullptr);
  const RulerFrame frame{.haystack = kHaystack, .context_tokens = 1024};
  const auto prompt = writer.Fill(Task(0), Dice(1), frame);
  ASSERT_TRUE(prompt.has_value());
  const auto cut = static_cast<size_t>(prompt->context_tokens);
  EXPECT_EQ(prompt->tokens.front(), Bytes().bos());
  const std::string before = TextOf(std::span(prompt->tokens).first(cut));
  const std::string after = TextOf(std::span(prompt->tokens).subspan(cut));
  EXPECT_THAT(before, HasSubstr("A special magic number is hidden"));
  EXPECT_THAT(before, HasSubstr(prompt->facts[0].text));
  EXPECT_THAT(after, StartsWith("\nWhat is the special magic number"));
  EXPECT_THAT(after, EndsWith("mentioned in the provided text is"));
}

TEST(PromptWriter, UsesTheChatTemplate) {
  const auto chat = ChatTemplate::Parse(
      "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}[end]{% endfor %}"
      "{% if add_generation_prompt %}[assistant]{% endif %}",
      "<bos>");
  ASSERT_TRUE(chat.has_value());
  const PromptWriter writer(Bytes(), &*chat);
  const auto prompt = writer.Fill(Task(0), Dice(1), {.haystack = kHaystack, .context_tokens = 1024});
  ASSERT_TRUE(prompt.has_value());
  const auto cut = static_cast<size_t>(prompt->context_tokens);
  EXPECT_EQ(prompt->tokens[0], Bytes().bos());
  EXPECT_NE(prompt->tokens[1], Bytes().bos());
  EXPECT_THAT(TextOf(std::span(prompt->tokens).first(cut)), HasSubstr("[user]A special magic number"));
  const std::string after = TextOf(std::span(prompt->tokens).subspan(cut));
  EXPECT_THAT(after, StartsWith("\nWhat is"));
  EXPECT_THAT(after, HasSubstr("provided text?[end][assistant]The special magic number for"));
}

TEST(PromptWriter, ExplainsWhatDoesNotWork) {
  const PromptWriter plain(Bytes(), nullptr);
  const auto small = plain.Fill(Task(0), Dice(1), {.haystack = kHaystack, .context_tokens = 300});
  EXPECT_THAT(small.error().message,
              HasSubstr("niah_single_1 does not fit a context of 300 tokens: it needs at least"));
  const auto deaf = ChatTemplate::Parse("{% for m in messages %}{{ m.content | upper }}{% endfor %}");
  ASSERT_TRUE(deaf.has_value());
  const auto changed =
      PromptWriter(Bytes(), &*deaf).Fill(Task(0), Dice(1), {.haystack = kHaystack, .context_tokens = 1024});
  EXPECT_EQ(changed.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(changed.error().message, HasSubstr("--raw"));
}

}  // namespace
}  // namespace kvasir::eval
