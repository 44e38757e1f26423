// Vocabularies that nobody meant well: each must give an error or a tokenizer that does no harm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <limits>

#include "text/tokenizer.h"
#include "text/vocabularies_test_support.h"

namespace kvasir::text {
namespace {

void ExpectRefused(const Vocabulary& vocabulary, std::string_view words, ErrorCode code = ErrorCode::kCorrupt) {
  const auto made = Tokenizer::Create(vocabulary);
  ASSERT_FALSE(made) << "accepted, expected: " << words;
  EXPECT_EQ(made.error().code, code);
  EXPECT_THAT(made.error().message, testing::HasSubstr(std::string(words)));
}

// Uses everything a tokenizer offers.
void Exercise(const Tokenizer& t) {
  for (const char* text : {"", "a", "hello world <0x41> <s>\xFF\n\n", "aaaaaaaaaaaaaaaaaaaa", "\xE2\x96\x81", "é€"}) {
    for (const bool parse : {false, true}) {
      const auto ids = t.Encode(text, {.parse_special = parse});
      for (const int32_t id : ids) ASSERT_LT(static_cast<uint32_t>(id), static_cast<uint32_t>(t.vocab_size()));
      t.Decode(ids);
    }
  }
  for (int32_t id = -1; id <= t.vocab_size(); ++id) t.Piece(id, true);
}

TEST(HostileVocabulary, EmptyOrUnknown) {
  ExpectRefused({}, "known: gpt2, llama, bert, t5", ErrorCode::kUnsupported);
  for (const char* model : {"gpt2", "llama", "bert", "t5"}) {
    Vocabulary v;
    v.model = model;
    ExpectRefused(v, "tokens is empty");
  }
  Vocabulary v = ByteLevelVocabularyForTest();
  v.pre = std::string(1 << 20, 'x');
  ExpectRefused(v, "unknown pre-tokenizer", ErrorCode::kUnsupported);
}

TEST(HostileVocabulary, ArraysOfUnequalLength) {
  Vocabulary v = SentencePieceVocabularyForTest();
  v.scores.pop_back();
  ExpectRefused(v, "scores");
  v.scores.clear();
  ExpectRefused(v, "tokenizer.ggml.scores");
  v = ByteLevelVocabularyForTest();
  v.types.resize(3);
  ExpectRefused(v, "token types");
  v = SentencePieceVocabularyForTest();
  v.scores[5] = std::numeric_limits<float>::quiet_NaN();
  ExpectRefused(v, "score of token 5");
}

TEST(HostileVocabulary, IdsOutOfRange) {
  for (const int32_t bad : {-2, 276 + 1000, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
    for (auto id : {&Vocabulary::bos, &Vocabulary::eos, &Vocabulary::unk, &Vocabulary::sep, &Vocabulary::pad,
                    &Vocabulary::cls, &Vocabulary::mask, &Vocabulary::eot, &Vocabulary::eom}) {
      Vocabulary v = SentencePieceVocabularyForTest();
      v.*id = bad;
      ExpectRefused(v, std::to_string(bad));
    }
    Vocabulary v = ByteLevelVocabularyForTest();
    v.strip_right = {bad};
    ExpectRefused(v, std::to_string(bad));
  }
}

TEST(HostileVocabulary, ByteTokensThatAreNone) {
  Vocabulary v = SentencePieceVocabularyForTest();
  const char* spellings[] = {"<0x-1>", "<0xZZ>", "<0x100>", "<0x", "", "<0x4>", "<0x+1>", "<0x 1>"};
  for (size_t i = 0; i < std::size(spellings); ++i) v.tokens[3 + i] = spellings[i];
  const auto made = Tokenizer::Create(std::move(v));
  ASSERT_TRUE(made) << made.error().message;
  Exercise(**made);
  EXPECT_EQ((*made)->Piece(3), "<0x-1>");
  EXPECT_EQ((*made)->Encode(std::string_view("\0", 1), {.add_special = false}).back(),
            0);  // no token for byte 0: unknown
}

TEST(HostileVocabulary, Merges) {
  Vocabulary v = ByteLevelVocabularyForTest();
  v.merges.insert(v.merges.end(), {"no such", "q zz", "€ x", "h e", "\xFF\xFE a", "  x"});
  const auto made = Tokenizer::Create(v);
  ASSERT_TRUE(made) << made.error().message;
  Exercise(**made);
  EXPECT_EQ((*made)->Decode((*made)->Encode("no such hello qzz")), "no such hello qzz");
  for (const char* bad : {"", "x", " ", "nospace", "trailing "}) {
    Vocabulary w = v;
    w.merges.push_back(bad);
    ExpectRefused(w, "merge 22");
  }
}

TEST(HostileVocabulary, DuplicatesEmptyTextsAndOddTypes) {
  for (Vocabulary v : {ByteLevelVocabularyForTest(), SentencePieceVocabularyForTest(), WordPieceVocabularyForTest()}) {
    for (size_t id = 0; id < v.tokens.size(); id += 3) v.tokens[id] = id % 2 == 0 ? "" : v.tokens[v.tokens.size() / 2];
    for (size_t id = 0; id < v.types.size(); id += 5)
      v.types[id] = static_cast<TokenType>(static_cast<int32_t>(id) - 7);
    const auto made = Tokenizer::Create(std::move(v));
    ASSERT_TRUE(made) << made.error().message;
    Exercise(**made);
  }
}

TEST(HostileVocabulary, TooMuchOfAnything) {
  Vocabulary v = SentencePieceVocabularyForTest();
  v.tokens[300 % v.tokens.size()] = std::string(1 << 20, 'a');
  ExpectRefused(v, "1048576 bytes", ErrorCode::kResourceExhausted);
  v = ByteLevelVocabularyForTest();
  v.tokens.assign(20000, std::string(4096, 'a'));
  v.types.clear();
  v.eos = kNoToken;
  ExpectRefused(v, "bytes long together", ErrorCode::kResourceExhausted);
  v.tokens.assign((1 << 22) + 1, "a");
  ExpectRefused(v, "at most", ErrorCode::kResourceExhausted);
}

TEST(HostileVocabulary, NestedTokensDoNotMakeEncodingSlow) {
  for (const char* model : {"llama", "t5"}) {
    Vocabulary v = SentencePieceVocabularyForTest();
    v.model = model;
    for (size_t length = 2; length <= 1024; ++length) {
      v.tokens.push_back(std::string(length, 'a'));
      v.types.push_back(TokenType::kNormal);
      v.scores.push_back(-static_cast<float>(length));
    }
    const auto made = Tokenizer::Create(std::move(v));
    ASSERT_TRUE(made) << made.error().message;
    const auto start = std::chrono::steady_clock::now();
    const std::string text(1 << 16, 'a');
    EXPECT_EQ((*made)->Decode((*made)->Encode(text)), text);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
  }
}

RC_GTEST_PROP(HostileVocabulary, RandomOnesAreHarmless, ()) {
  Vocabulary v;
  v.model = *rc::gen::element<std::string>("gpt2", "llama", "bert", "t5");
  v.pre = *rc::gen::element<std::string>("", "smollm", "qwen2", "tekken");
  const auto text = rc::gen::container<std::string>(rc::gen::oneOf(
      rc::gen::element('a', 'b', ' ', '<', '0', 'x', '>', '\xE2', '\x96', '\x81'), rc::gen::arbitrary<char>()));
  v.tokens = *rc::gen::container<std::vector<std::string>>(text);
  v.merges =
      *rc::gen::container<std::vector<std::string>>(rc::gen::map(text, [](std::string s) { return "a " + s + "b"; }));
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    v.types.push_back(static_cast<TokenType>(*rc::gen::inRange(0, 8)));
    v.scores.push_back(static_cast<float>(*rc::gen::inRange(-5, 5)));
  }
  v.eos = *rc::gen::inRange(-1, 4);
  v.precompiled_charsmap.assign(static_cast<size_t>(*rc::gen::inRange(0, 12)), std::byte{4});
  const auto made = Tokenizer::Create(std::move(v));
  if (made) Exercise(**made);
}

}  // namespace
}  // namespace kvasir::text
