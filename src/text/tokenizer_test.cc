#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <thread>

#include "text/stream_decoder.h"
#include "text/utf8.h"
#include "text/vocabularies_test_support.h"

namespace kvasir::text {
namespace {

using Ids = std::vector<int32_t>;

std::unique_ptr<Tokenizer> Make(Vocabulary vocabulary) {
  auto made = Tokenizer::Create(std::move(vocabulary));
  EXPECT_TRUE(made) << made.error().message;
  return made ? std::move(*made) : nullptr;
}

rc::Gen<std::string> AnyText() {
  return rc::gen::container<std::string>(rc::gen::oneOf(
      rc::gen::arbitrary<char>(),
      rc::gen::element('h', 'e', 'l', 'o', ' ', 'w', 'a', '\n', '\xE2', '\x82', '\xAC', '\xF0', '\x9F', '3')));
}

TEST(ByteLevelBpe, MergesInsideWordsByRank) {
  const auto t = Make(ByteLevelVocabularyForTest());
  const auto pieces = [&](std::string_view text) {
    std::vector<std::string> out;
    for (const int32_t id : t->Encode(text)) out.push_back(t->Piece(id));
    return out;
  };
  EXPECT_EQ(pieces("hello world"), (std::vector<std::string>{"hello", " wor", "ld"}));
  EXPECT_EQ(pieces("aaaaaaa"), (std::vector<std::string>{"aaaa", "aa", "a"}));
  EXPECT_EQ(pieces("€12"), (std::vector<std::string>{"€", "1", "2"}));
  EXPECT_EQ(pieces(""), std::vector<std::string>{});
}

RC_GTEST_PROP(ByteLevelBpe, AnyBytesComeBack, ()) {
  static const auto t = Make(ByteLevelVocabularyForTest());
  const auto text = *AnyText();
  RC_ASSERT(t->Decode(t->Encode(text)) == text);
  RC_ASSERT(t->Decode(t->Encode(text, {.parse_special = true}), {.skip_special = false}) == text);
}

TEST(ByteLevelBpe, EveryPreTokenizerBringsTextBack) {
  for (const char* pre :
       {"default", "gpt-2", "llama-bpe", "qwen2", "tekken", "gpt-4o", "falcon", "deepseek-llm", "bloom"}) {
    Vocabulary v = ByteLevelVocabularyForTest();
    v.pre = pre;
    const auto t = Make(std::move(v));
    const std::string text = "Héllo  wörld's 12345 \xFF\n\n 你好, <|im_end|>  ";
    EXPECT_EQ(t->Decode(t->Encode(text)), text) << pre;
  }
}

TEST(ByteLevelBpe, IgnoredMergesLetAWholeWordWin) {
  Vocabulary v = ByteLevelVocabularyForTest();
  v.tokens.push_back("zebra");  // no merges lead to it
  v.types.push_back(TokenType::kNormal);
  EXPECT_EQ(Make(v)->Encode("zebra").size(), 5u);
  v.pre = "llama-bpe";
  EXPECT_EQ(Make(v)->Encode("zebra", {.add_special = false}).size(), 1u);
}

TEST(ByteLevelBpe, MergesMayPassThroughTextsThatAreNoToken) {
  Vocabulary v = ByteLevelVocabularyForTest();
  v.merges.insert(v.merges.end(), {"x y", "xy z"});
  v.tokens.push_back("xyz");
  v.types.push_back(TokenType::kNormal);
  const auto t = Make(std::move(v));
  EXPECT_EQ(t->Encode("xyz").size(), 1u);
  EXPECT_EQ(t->Encode("xy"), (Ids{'x', 'y'}));
}

// The definition, without heap, parts or whole words: join the best-scored neighbours, leftmost first, until none is
// left.
Ids NaiveSentencePiece(const Vocabulary& v, std::string_view text) {
  std::vector<std::string> symbols;
  for (size_t at = 0; at < text.size();) {
    const auto length = static_cast<size_t>(DecodeUtf8(text, at).length);
    symbols.emplace_back(text[at] == ' ' ? kSpaceMark : text.substr(at, length));
    at += length;
  }
  if (!text.empty()) symbols.insert(symbols.begin(), std::string(kSpaceMark));
  const auto find = [&](const std::string& s) -> int32_t {
    for (size_t id = 259; id < v.tokens.size(); ++id) {
      if (v.tokens[id] == s) return static_cast<int32_t>(id);
    }
    return -1;
  };
  for (;;) {
    size_t best = symbols.size();
    float best_score = -std::numeric_limits<float>::infinity();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const int32_t id = find(symbols[i] + symbols[i + 1]);
      if (id >= 0 && v.scores[static_cast<size_t>(id)] > best_score) {
        best = i;
        best_score = v.scores[static_cast<size_t>(id)];
      }
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols) {
    const int32_t id = find(symbol);
    if (id >= 0) {
      ids.push_back(id);
    } else {
      for (const char byte : symbol) ids.push_back(3 + static_cast<uint8_t>(byte));
    }
  }
  return ids;
}

RC_GTEST_PROP(SentencePieceBpe, EqualsTheDefinition, ()) {
  static const auto vocabulary = SentencePieceVocabularyForTest();
  static const auto t = Make(vocabulary);
  const auto parts = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("a", "b", "c", " ", "é", "€", "aa", "ab", "\xFF", "d", "▁"));
  std::string text;
  for (const std::string& part : parts) text += part;
  RC_ASSERT(t->Encode(text, {.add_special = false}) == NaiveSentencePiece(vocabulary, text));
}

TEST(SentencePieceBpe, SpacePrefixComesAndGoes) {
  const auto t = Make(SentencePieceVocabularyForTest());
  EXPECT_EQ(t->Encode("a"), (Ids{1, t->FindToken("▁a").value()}));
  EXPECT_EQ(t->Decode(t->Encode("a  b")), "a  b");
  EXPECT_EQ(t->Decode(t->Encode("a"), {.strip_space_prefix = false}), " a");
  EXPECT_EQ(t->Decode(t->Encode(" \xFF€z")), " \xFF€z");
  Vocabulary v = SentencePieceVocabularyForTest();
  v.add_space_prefix = false;
  EXPECT_EQ(Make(v)->Encode("a", {.add_special = false}).size(), 1u);
  EXPECT_EQ(Make(v)->Decode(Make(v)->Encode(" a")), " a");
}

TEST(WordPiece, FoldsCutsAndSpellsGreedily) {
  const auto t = Make(WordPieceVocabularyForTest());
  const auto spelled = [&](std::string_view text) {
    std::vector<std::string> out;
    for (const int32_t id : t->Encode(text, {.add_special = false})) out.push_back(t->TokenText(id));
    return out;
  };
  using Words = std::vector<std::string>;
  EXPECT_EQ(spelled("Playing, PLAYED"), (Words{"▁play", "ing", "▁,", "▁play", "ed"}));
  EXPECT_EQ(spelled("Café cafe\u0301"), (Words{"▁cafe", "▁cafe"}));
  EXPECT_EQ(spelled("你好"), (Words{"▁你", "▁好"}));
  EXPECT_EQ(spelled("unable unableed"), (Words{"▁un", "able", "▁un", "able", "ed"}));
  EXPECT_EQ(spelled("un\u200bable\xFF\x01 xyz"), (Words{"▁un", "able", "[UNK]"}));
  EXPECT_EQ(spelled("[SEP]"), (Words{"[UNK]", "[UNK]", "[UNK]"}));
  EXPECT_EQ(spelled(std::string(101, 'a')), Words{"[UNK]"});
  EXPECT_EQ(t->Encode("playing"), (Ids{2, 4, 5, 3}));
  EXPECT_EQ(t->Decode(t->Encode("Playing, able")), "playing , able");
}

TEST(WordPiece, CasedModelsKeepCase) {
  Vocabulary v = WordPieceVocabularyForTest();
  v.lowercase = false;
  EXPECT_EQ(Make(v)->Encode("Playing play", {.add_special = false}), (Ids{1, 4}));
}

TEST(Special, ControlTokensAreReadOnlyFromTrustedText) {
  const auto t = Make(ByteLevelVocabularyForTest());
  const int32_t end = t->FindToken("<|im_end|>").value(), tool = t->FindToken("[tool]").value();
  EXPECT_EQ(t->Encode("a<|im_end|>a", {.parse_special = true}), (Ids{'a', end, 'a'}));
  EXPECT_EQ(t->Encode("a[tool]a"), (Ids{'a', tool, 'a'}));
  EXPECT_GT(t->Encode("<|im_end|>").size(), 5u);
  EXPECT_EQ(t->Decode(Ids{'a', end, tool}), "a[tool]");
  EXPECT_EQ(t->Decode(Ids{'a', end, tool}, {.skip_special = false}), "a<|im_end|>[tool]");
}

RC_GTEST_PROP(Special, PlainTextNeverBecomesAControlToken, ()) {
  static const auto bpe = Make(ByteLevelVocabularyForTest());
  static const auto sentence_piece = Make(SentencePieceVocabularyForTest());
  const auto parts = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "<|im_end|>", "<s>", "</s>", "<", "|", "im_end", "<unk>", "<0x41>", " ", "s>", "a"));
  std::string text;
  for (const std::string& part : parts) text += part;
  for (const Tokenizer* t : {bpe.get(), sentence_piece.get()}) {
    const Ids ids = t->Encode(text, {.add_special = false});
    for (const int32_t id : ids) RC_ASSERT(!t->IsControl(id));
    RC_ASSERT(t->Decode(ids) == text);
  }
}

TEST(Special, TheLeftmostThenLongestWinsAndMaySwallowSpaces) {
  Vocabulary v = ByteLevelVocabularyForTest();
  const auto first = static_cast<int32_t>(v.tokens.size());
  v.tokens.insert(v.tokens.end(), {"<x>", "<x><y>", "<z>"});
  v.types.insert(v.types.end(), 3, TokenType::kControl);
  v.strip_left = {first + 2};
  v.strip_right = {first};
  const auto t = Make(std::move(v));
  EXPECT_EQ(t->Encode("<x><y>", {.parse_special = true}), Ids{first + 1});
  EXPECT_EQ(t->Encode("<x> \n a \t<z> b", {.parse_special = true}), (Ids{first, 'a', first + 2, ' ', 'b'}));
  EXPECT_EQ(t->Encode(" \n<z>", {.parse_special = true}), Ids{first + 2});
}

TEST(Special, EndsOfGenerationAreKnownByIdAndByName) {
  const auto t = Make(ByteLevelVocabularyForTest());
  EXPECT_TRUE(t->IsEndOfGeneration(t->eos()));
  EXPECT_TRUE(t->IsEndOfGeneration(t->FindToken("<|im_end|>").value()));
  EXPECT_EQ(t->eot(), t->FindToken("<|im_end|>").value());
  EXPECT_FALSE(t->IsEndOfGeneration('a'));
  EXPECT_FALSE(t->IsEndOfGeneration(-1));
  Vocabulary v = ByteLevelVocabularyForTest();
  v.types[static_cast<size_t>(t->eot())] = TokenType::kNormal;  // a mistake seen in published files
  EXPECT_TRUE(Make(v)->IsControl(t->eot()));
}

TEST(Tokenizer, IdsOutOfRangeAreHarmless) {
  const auto t = Make(ByteLevelVocabularyForTest());
  for (const int32_t id : {-1, -2147483647, 100000, 2147483647}) {
    EXPECT_EQ(t->Piece(id, true), "");
    EXPECT_EQ(t->TokenText(id), "");
    EXPECT_FALSE(t->IsControl(id));
    EXPECT_EQ(t->Decode(Ids{'a', id, 'b'}), "ab");
  }
  EXPECT_EQ(t->FindToken("no such token"), std::nullopt);
  EXPECT_EQ(t->FindToken(""), std::nullopt);
}

TEST(Tokenizer, AddsWhatTheModelWants) {
  Vocabulary v = ByteLevelVocabularyForTest();
  EXPECT_EQ(Make(v)->Encode("a"), Ids{'a'});
  v.bos = v.eos;
  v.add_bos = v.add_eos = true;
  EXPECT_EQ(Make(v)->Encode("a"), (Ids{v.bos, 'a', v.eos}));
  EXPECT_EQ(Make(v)->Encode("a", {.add_special = false}), Ids{'a'});
  v.bos = kNoToken;  // wanted, but there is none
  EXPECT_EQ(Make(v)->Encode("a"), (Ids{'a', v.eos}));
  EXPECT_FALSE(Make(v)->add_bos());
}

TEST(Tokenizer, ManyThreadsEncodeAlike) {
  const auto t = Make(ByteLevelVocabularyForTest());
  const std::string text = "hello world hello aaaa € world";
  const Ids expected = Make(ByteLevelVocabularyForTest())->Encode(text);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) ASSERT_EQ(t->Encode(text), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

RC_GTEST_PROP(StreamDecoder, JoinedTextIsTheDecodedText, (bool skip_special, bool strip)) {
  static const auto bpe = Make(ByteLevelVocabularyForTest());
  static const auto sentence_piece = Make(SentencePieceVocabularyForTest());
  static const auto word_piece = Make(WordPieceVocabularyForTest());
  for (const Tokenizer* t : {bpe.get(), sentence_piece.get(), word_piece.get()}) {
    const auto ids = *rc::gen::container<Ids>(rc::gen::inRange<int32_t>(-1, t->vocab_size() + 1));
    const DecodeOptions options{
        .skip_special = skip_special, .strip_space_prefix = strip, .replace_invalid_utf8 = true};
    StreamDecoder decoder(*t, options);
    for (int round = 0; round < 2; ++round) {  // Flush starts afresh
      std::string joined;
      for (const int32_t id : ids) {
        const std::string text = decoder.Push(id);
        RC_ASSERT(ValidUtf8Prefix(text) == text.size());
        joined += text;
      }
      joined += decoder.Flush();
      RC_ASSERT(joined == t->Decode(ids, options));
    }
  }
}

TEST(StreamDecoder, HoldsHalfACharacterBackAndGivesUpOnABadOne) {
  const auto t = Make(ByteLevelVocabularyForTest());
  StreamDecoder decoder(*t);
  EXPECT_EQ(decoder.Push(0xF0), "");
  EXPECT_EQ(decoder.Push(0x9F), "");
  EXPECT_EQ(decoder.Push(0x9A), "");
  EXPECT_EQ(decoder.Push(0x80), "🚀");
  EXPECT_EQ(decoder.Push(0xE2), "");
  EXPECT_EQ(decoder.Push('a'), std::string(kReplacementUtf8) + "a");
  EXPECT_EQ(decoder.Push(0xC3), "");
  EXPECT_EQ(decoder.Flush(), kReplacementUtf8);
  EXPECT_EQ(decoder.Flush(), "");
}

}  // namespace
}  // namespace kvasir::text
