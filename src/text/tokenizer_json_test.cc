#include "text/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "text/tokenizer.h"
#include "text/vocabulary_from_gguf_test_support.h"

namespace kvasir::text {
namespace {

using Ids = std::vector<int32_t>;
using Json = nlohmann::json;
using testing::HasSubstr;

Json SmallFile() {
  return Json::parse(R"({
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
                   "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing",
                       "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                  {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100,
              "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "play": 4, "##ing": 5, "[unused1]": 6}}})");
}

std::unique_ptr<Tokenizer> Make(Result<Vocabulary> vocabulary) {
  EXPECT_TRUE(vocabulary) << vocabulary.error().message;
  if (!vocabulary) return nullptr;
  auto tokenizer = Tokenizer::Create(std::move(*vocabulary));
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

void ExpectUnsupported(const Json& file, const std::string& part) {
  const auto vocabulary = VocabularyFromTokenizerJson(file.dump());
  ASSERT_FALSE(vocabulary) << part;
  EXPECT_EQ(vocabulary.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(vocabulary.error().message, HasSubstr(part));
}

TEST(TokenizerJson, GivesTheIdsOfTheFile) {
  const auto t = Make(VocabularyFromTokenizerJson(SmallFile().dump()));
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->Encode("Playing play"), (Ids{2, 4, 5, 4, 3}));
  EXPECT_EQ(t->Encode("ing"), (Ids{2, 1, 3})) << "a piece that goes on cannot begin a word";
  EXPECT_EQ(t->Decode(t->Encode("playing")), "playing");
  EXPECT_EQ(t->unk(), 1);
  EXPECT_EQ(t->sep(), 3);
}

TEST(TokenizerJson, NamesInATextAreText) {
  const auto t = Make(VocabularyFromTokenizerJson(SmallFile().dump()));
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->Encode("[SEP]", {.add_special = false}), (Ids{1, 1, 1}));
  EXPECT_EQ(t->Encode("[unused1]", {.add_special = false}), (Ids{1, 1, 1}));
}

TEST(TokenizerJson, VocabTxtIsTheSame) {
  const auto t = Make(VocabularyFromVocabTxt("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nplay\r\n##ing", true));
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->Encode("Playing play"), (Ids{2, 4, 5, 4, 3}));
  const auto cased = Make(VocabularyFromVocabTxt("[PAD]\n[UNK]\n[CLS]\n[SEP]\nplay\n##ing\n", false));
  ASSERT_NE(cased, nullptr);
  EXPECT_EQ(cased->Encode("Playing play"), (Ids{2, 1, 4, 3}));
  EXPECT_EQ(cased->vocab_size(), 6);
  const auto none = VocabularyFromVocabTxt("a\nb\n", true);
  EXPECT_EQ(none.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(none.error().message, HasSubstr("2 tokens has no [UNK]"));
}

TEST(TokenizerJson, WhatItDoesNotDoIsNamed) {
  const auto with = [](const std::string& pointer, Json value) {
    Json file = SmallFile();
    file[Json::json_pointer(pointer)] = std::move(value);
    return file;
  };
  ExpectUnsupported(with("/model/type", "BPE"), "model.type is \"BPE\", but only WordPiece");
  ExpectUnsupported(with("/model/continuing_subword_prefix", "@@"), "continuing_subword_prefix is \"@@\"");
  ExpectUnsupported(with("/model/max_input_chars_per_word", 50), "max_input_chars_per_word is 50");
  ExpectUnsupported(with("/model/unk_token", "<unk>"), "unk_token is \"<unk>\"");
  ExpectUnsupported(with("/normalizer/type", "NFC"), "normalizer.type is \"NFC\"");
  ExpectUnsupported(with("/normalizer", nullptr), "normalizer.type is null");
  ExpectUnsupported(with("/normalizer/strip_accents", false), "normalizer.strip_accents is false");
  ExpectUnsupported(with("/normalizer/clean_text", false), "normalizer.clean_text is false");
  ExpectUnsupported(with("/normalizer/handle_chinese_chars", false), "handle_chinese_chars is false");
  ExpectUnsupported(with("/normalizer/lowercase", 1), "normalizer.lowercase is 1");
  ExpectUnsupported(with("/pre_tokenizer/type", "Whitespace"), "pre_tokenizer.type is \"Whitespace\"");
  ExpectUnsupported(with("/post_processor", nullptr), "post_processor.type is null");
  ExpectUnsupported(with("/post_processor/single/0/SpecialToken/id", "<s>"), "post_processor.single is");
  ExpectUnsupported(with("/post_processor/single", 7), "post_processor.single is 7");
  EXPECT_TRUE(VocabularyFromTokenizerJson(with("/post_processor", {{"type", "BertProcessing"}}).dump()));
  EXPECT_FALSE(*VocabularyFromTokenizerJson(with("/normalizer/lowercase", false).dump())->lowercase);
}

TEST(TokenizerJson, DamagedFilesAreRefused) {
  const std::string whole = SmallFile().dump();
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(VocabularyFromTokenizerJson(whole.substr(0, length))) << length;
  }
  for (const char* text : {"", "[]", "{}", "null", "7", "\"text\"", "\xff"}) {
    EXPECT_FALSE(VocabularyFromTokenizerJson(text)) << text;
  }
  for (const Json& id : {Json(0), Json(-1), Json(9), Json(1e30), Json("x"), Json(nullptr), Json(1ULL << 63U)}) {
    Json file = SmallFile();
    file["model"]["vocab"]["play"] = id;
    EXPECT_EQ(VocabularyFromTokenizerJson(file.dump()).error().code, ErrorCode::kCorrupt) << id;
  }
  Json file = SmallFile();
  file["model"]["vocab"] = Json::array({"a"});
  EXPECT_THAT(VocabularyFromTokenizerJson(file.dump()).error().message, HasSubstr("model.vocab"));
}

// The ids that Hugging Face's tokenizers give (testdata/make_wordpiece_fixture.py).
TEST(TokenizerJson, RealIdsAreThoseOfTheReference) {
  const std::string folder = ModelPathForTest("minilm");
  const std::string json = ReadFileForTest(folder + "/tokenizer.json");
  if (json.empty()) GTEST_SKIP() << folder << " is not installed; ./dev models minilm installs it";
  const auto by_json = Make(VocabularyFromTokenizerJson(json));
  const auto by_list = Make(VocabularyFromVocabTxt(ReadFileForTest(folder + "/vocab.txt"), true));
  ASSERT_TRUE(by_json != nullptr && by_list != nullptr);
  EXPECT_EQ(by_json->vocabulary().tokens, by_list->vocabulary().tokens);
  const Json cases = Json::parse(ReadFileForTest(KVASIR_SOURCE_DIR "/src/text/testdata/wordpiece.json"));
  ASSERT_GT(cases.size(), 40u);
  for (const Json& entry : cases) {
    const auto text = entry["text"].get<std::string>();
    EXPECT_EQ(by_json->Encode(text), entry["ids"].get<Ids>()) << text;
  }
}

}  // namespace
}  // namespace kvasir::text
