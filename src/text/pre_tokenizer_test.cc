#include "text/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>

#include "text/vocabulary_from_gguf_test_support.h"

namespace kvasir::text {
namespace {

std::vector<std::string> Words(std::string_view pre, std::string_view text) {
  const auto pre_tokenizer = PreTokenizer::Create(pre);
  EXPECT_TRUE(pre_tokenizer) << pre;
  std::vector<std::string_view> words;
  pre_tokenizer->Split(text, words);
  return {words.begin(), words.end()};
}

TEST(PreTokenizer, CutsAsTheReferenceDoes) {
  const auto cases = nlohmann::json::parse(ReadFileForTest(KVASIR_SOURCE_DIR "/src/text/testdata/pre_tokenizers.json"));
  ASSERT_GT(cases.size(), 100u);
  for (const auto& one : cases) {
    const auto pre = one.at("pre").get<std::string>(), text = one.at("text").get<std::string>();
    EXPECT_EQ(Words(pre, text), one.at("words").get<std::vector<std::string>>()) << pre << ": " << text;
  }
}

TEST(PreTokenizer, EveryEntryCompilesUnderEveryName) {
  for (const PreTokenizerEntry& entry : PreTokenizers()) {
    for (const std::string_view name : entry.names) {
      const auto made = PreTokenizer::Create(name);
      EXPECT_TRUE(made) << name << ": " << (made ? "" : made.error().message);
    }
  }
}

TEST(PreTokenizer, AnUnknownNameIsAnErrorThatListsTheKnown) {
  const auto made = PreTokenizer::Create("klingon");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(made.error().message, testing::HasSubstr("klingon"));
  EXPECT_THAT(made.error().message, testing::HasSubstr("smollm"));
  EXPECT_THAT(made.error().message, testing::HasSubstr("qwen2"));
}

TEST(PreTokenizer, MalformedBytesAreAWordOfTheirOwn) {
  EXPECT_EQ(Words("gpt-2", "ab\xFF\xFE cd"), (std::vector<std::string>{"ab", "\xFF\xFE", " cd"}));
  EXPECT_EQ(Words("gpt-2", "\xE2\x82"), (std::vector<std::string>{"\xE2\x82"}));
}

RC_GTEST_PROP(PreTokenizer, WordsAreTheWholeText, ()) {
  const auto text = *rc::gen::container<std::string>(
      rc::gen::oneOf(rc::gen::arbitrary<char>(), rc::gen::element(' ', '\n', 'a', '5', '\'', '\xE2', '\x82', '\xAC')));
  for (const PreTokenizerEntry& entry : PreTokenizers()) {
    const auto words = Words(entry.names[0], text);
    RC_ASSERT(std::accumulate(words.begin(), words.end(), std::string()) == text);
    for (const std::string& word : words) RC_ASSERT(!word.empty());
  }
}

// A quarter of a megabyte of one thing, then another: what makes a careless expression take quadratic time. Generous
// bound: the slowest takes a fraction of a second alone on a slow core.
TEST(PreTokenizer, LongRunsTakeLinearTime) {
  constexpr size_t kRun = 1 << 18;
  const auto start = std::chrono::steady_clock::now();
  for (const PreTokenizerEntry& entry : PreTokenizers()) {
    for (const char letter : {' ', 'a', 'A', '\n', '7', '-', '\''}) {
      const std::string text = std::string(kRun, letter) + "5x ";
      size_t total = 0;
      for (const std::string& word : Words(entry.names[0], text)) total += word.size();
      EXPECT_EQ(total, text.size()) << entry.names[0];
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(Pattern, SpacesAreUnicodesAndMalformedIsAnError) {
  const auto spaces = Pattern::Compile("\\s+");
  ASSERT_TRUE(spaces);
  Pattern::Scratch scratch;
  EXPECT_TRUE(spaces->Match("a\u00a0\u3000\u0085z", 0, scratch));
  EXPECT_FALSE(spaces->Match("a\u180e\u200bz", 0, scratch));
  EXPECT_FALSE(spaces->Match("\\s", 0, scratch));
  const auto bad = Pattern::Compile("a(b");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, testing::HasSubstr("a(b"));
}

}  // namespace
}  // namespace kvasir::text
