// Unigram against SentencePiece's own answers, and against every possible cut of short texts.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>

#include "text/charsmap.h"
#include "text/tokenizer.h"
#include "text/vocabulary_from_gguf_test_support.h"

namespace kvasir::text {
namespace {

Vocabulary VocabularyOf(const nlohmann::json& model) {
  Vocabulary v;
  v.model = "t5";
  v.tokens = model.at("tokens").get<std::vector<std::string>>();
  v.scores = model.at("scores").get<std::vector<float>>();
  for (const int type : model.at("types")) v.types.push_back(static_cast<TokenType>(type));
  v.remove_extra_whitespaces = model.at("remove_extra_whitespaces").get<bool>();
  v.add_space_prefix = model.at("add_space_prefix").get<bool>();
  const auto hex = model.at("charsmap").get<std::string>();
  for (size_t i = 0; i < hex.size(); i += 2) {
    v.precompiled_charsmap.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return v;
}

TEST(Unigram, GivesSentencePiecesIds) {
  const auto models = nlohmann::json::parse(ReadFileForTest(KVASIR_SOURCE_DIR "/src/text/testdata/unigram.json"));
  ASSERT_EQ(models.size(), 2u);
  for (const auto& model : models) {
    const auto tokenizer = Tokenizer::Create(VocabularyOf(model));
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    for (const auto& one : model.at("cases")) {
      const auto text = one.at("text").get<std::string>();
      if (text.find("<mark>") != std::string::npos) continue;  // below
      EXPECT_EQ((*tokenizer)->Encode(text, {.add_special = false}), one.at("ids").get<std::vector<int32_t>>()) << text;
    }
    auto with_end = (*tokenizer)->Encode("a");
    EXPECT_EQ(with_end.back(), (*tokenizer)->eos());
  }
}

TEST(Unigram, ALongRunOfOneThingTakesLinearTime) {
  const auto models = nlohmann::json::parse(ReadFileForTest(KVASIR_SOURCE_DIR "/src/text/testdata/unigram.json"));
  const auto tokenizer = Tokenizer::Create(VocabularyOf(models.at(0)));
  ASSERT_TRUE(tokenizer);
  for (const std::string thing : {"a", " ", "\n", "🙂", "e", "\xff"}) {
    std::string text;
    while (text.size() < 1 << 18) text += thing;
    const std::clock_t start = std::clock();
    const auto ids = (*tokenizer)->Encode(text);
    EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 10) << thing;
    EXPECT_LE(ids.size(), text.size() + 2);
  }
}

// SentencePiece cuts user-defined tokens out of the text in the middle of its work; here, as in Hugging Face's T5, each
// part between them is a text of its own.
TEST(Unigram, UserDefinedTokensStandBetweenTexts) {
  const auto models = nlohmann::json::parse(ReadFileForTest(KVASIR_SOURCE_DIR "/src/text/testdata/unigram.json"));
  const auto tokenizer = Tokenizer::Create(VocabularyOf(models.at(0)));
  ASSERT_TRUE(tokenizer);
  const Tokenizer& t = **tokenizer;
  std::vector<int32_t> expected = t.Encode("in", {.add_special = false});
  const int32_t mark = t.FindToken("<mark>").value();
  expected.insert(expected.begin(), mark);
  expected.push_back(mark);
  EXPECT_EQ(t.Encode("<mark>in<mark>", {.add_special = false}), expected);
}

constexpr float kScores[] = {0, 0, 0, -1.0f, -2.0f, -1.5f, -2.25f, -0.875f, -3.5f, -1.25f, -4.0f};

Vocabulary SmallVocabulary() {
  Vocabulary v;
  v.model = "t5";
  v.tokens = {"<pad>", "</s>", "<unk>", "a", "b", "ab", "ba", "aba", "abab", "bb", "aabb"};
  v.scores.assign(std::begin(kScores), std::end(kScores));
  v.types.assign(v.tokens.size(), TokenType::kNormal);
  v.types[0] = v.types[1] = TokenType::kControl;
  v.types[2] = TokenType::kUnknown;
  v.add_space_prefix = false;
  return v;
}

// The best sum of scores over all cuts of `text`, by trying every one; 'c' is a character that no token has.
double BestByBruteForce(const Vocabulary& v, std::string_view text) {
  if (text.empty()) return 0;
  double best = -std::numeric_limits<double>::infinity();
  for (size_t id = 3; id < v.tokens.size(); ++id) {
    if (!text.starts_with(v.tokens[id])) continue;
    best = std::max(best, v.scores[id] + BestByBruteForce(v, text.substr(v.tokens[id].size())));
  }
  if (text[0] == 'c') best = std::max(best, -4.0 - 10.0 + BestByBruteForce(v, text.substr(1)));
  return best;
}

RC_GTEST_PROP(Unigram, NoCutIsBetter, ()) {
  const auto vocabulary = SmallVocabulary();
  const auto tokenizer = Tokenizer::Create(vocabulary);
  RC_ASSERT(tokenizer.has_value());
  auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b', 'b', 'a', 'c'));
  text.resize(std::min<size_t>(text.size(), 14));
  double sum = 0;
  std::string spelled;
  for (const int32_t id : (*tokenizer)->Encode(text, {.add_special = false})) {
    spelled += id == 2 ? "?" : (*tokenizer)->TokenText(id);
    if (id != 2) sum += vocabulary.scores[static_cast<size_t>(id)];
  }
  std::string expected;  // runs of unknown characters are one unknown token
  for (const char c : text) {
    if (c != 'c') {
      expected += c;
    } else if (!expected.ends_with('?')) {
      expected += '?';
    }
  }
  RC_ASSERT(spelled == expected);
  sum += -14.0 * static_cast<double>(std::count(text.begin(), text.end(), 'c'));
  RC_ASSERT(std::abs(sum - BestByBruteForce(vocabulary, text)) < 1e-6);
}

TEST(Charsmap, RefusesContradictingSizes) {
  const auto bytes = [](std::initializer_list<int> values) {
    std::vector<std::byte> out;
    for (const int value : values) out.push_back(static_cast<std::byte>(value));
    return out;
  };
  EXPECT_TRUE(Charsmap::Create({}));
  EXPECT_FALSE(Charsmap::Create(bytes({1, 0})));
  EXPECT_FALSE(Charsmap::Create(bytes({0, 0, 0, 0})));
  EXPECT_FALSE(Charsmap::Create(bytes({3, 0, 0, 0, 1, 2, 3})));
  EXPECT_FALSE(Charsmap::Create(bytes({255, 255, 255, 255, 1, 2, 3, 4})));
  EXPECT_TRUE(Charsmap::Create(bytes({4, 0, 0, 0, 1, 2, 3, 4})));
}

RC_GTEST_PROP(Charsmap, DamagedTablesAreHarmless, ()) {
  const auto trie = *rc::gen::container<std::vector<uint32_t>>(rc::gen::arbitrary<uint32_t>());
  RC_PRE(!trie.empty());
  std::vector<std::byte> bytes;
  const auto put = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
  };
  put(static_cast<uint32_t>(trie.size() * 4));
  for (const uint32_t unit : trie) put(unit);
  bytes.push_back(std::byte{'x'});
  const auto map = Charsmap::Create(bytes);
  RC_ASSERT(map.has_value());
  const auto text = *rc::gen::arbitrary<std::string>();
  RC_ASSERT(map->Longest(text).length <= text.size());
}

}  // namespace
}  // namespace kvasir::text
