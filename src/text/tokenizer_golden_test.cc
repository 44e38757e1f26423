// Real vocabularies against the token ids that llama.cpp gives.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "text/tokenizer.h"
#include "text/vocabulary_from_gguf_test_support.h"

namespace kvasir::text {
namespace {

std::unique_ptr<Tokenizer> LoadTokenizer(const std::string& path) {
  auto vocabulary = GgufVocabularyReader::Read(path);
  if (!vocabulary) return nullptr;
  auto tokenizer = Tokenizer::Create(std::move(*vocabulary));
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

// The texts of an .inp file: each ends with a line of its own that says so.
std::vector<std::string> ReadTexts(const std::string& path) {
  const std::string all = ReadFileForTest(path), mark = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  for (size_t begin = 0, end; (end = all.find(mark, begin)) != std::string::npos; begin = end + mark.size()) {
    texts.push_back(all.substr(begin, end - begin));
  }
  return texts;
}

std::vector<std::vector<int32_t>> ReadIds(const std::string& path) {
  std::vector<std::vector<int32_t>> all;
  std::istringstream lines(ReadFileForTest(path));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    all.emplace_back(std::istream_iterator<int32_t>(words), std::istream_iterator<int32_t>());
  }
  return all;
}

class VocabularyFile : public testing::TestWithParam<const char*> {};

TEST_P(VocabularyFile, GivesTheExpectedIds) {
  const std::string path = std::string(KVASIR_SHARED_DATA "/tokenizers/ggml-vocab-") + GetParam() + ".gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const auto tokenizer = LoadTokenizer(path);
  ASSERT_NE(tokenizer, nullptr);
  const auto texts = ReadTexts(path + ".inp");
  const auto expected = ReadIds(path + ".out");
  ASSERT_EQ(texts.size(), expected.size());
  ASSERT_GT(texts.size(), 40u);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer->Encode(texts[i], {.add_special = false}), expected[i]) << "text " << i << ": " << texts[i];
  }
}

TEST_P(VocabularyFile, DecodesWhatItEncoded) {
  const std::string path = std::string(KVASIR_SHARED_DATA "/tokenizers/ggml-vocab-") + GetParam() + ".gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const auto tokenizer = LoadTokenizer(path);
  ASSERT_NE(tokenizer, nullptr);
  for (const std::string& text : ReadTexts(path + ".inp")) {
    const auto ids = tokenizer->Encode(text);
    if (tokenizer->vocabulary().model == "bert") {  // folds the text: only the words come back
      EXPECT_EQ(tokenizer->Encode(tokenizer->Decode(ids)).front(), ids.front());
    } else {
      EXPECT_EQ(tokenizer->Decode(ids), text);
    }
  }
}

// A quadratic step anywhere (cutting, merging, special tokens) makes a long run of one thing take minutes. The bound is
// generous: each takes a tenth of a second or two alone, and longer under a sanitizer.
TEST_P(VocabularyFile, ALongRunOfOneThingTakesLinearTime) {
  const std::string path = std::string(KVASIR_SHARED_DATA "/tokenizers/ggml-vocab-") + GetParam() + ".gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const auto tokenizer = LoadTokenizer(path);
  ASSERT_NE(tokenizer, nullptr);
  for (const std::string thing : {"a", " ", "\n", "🙂", "'", "\xff", "<|"}) {
    std::string text;
    while (text.size() < 1 << 18) text += thing;
    const std::clock_t start = std::clock();
    const auto ids = tokenizer->Encode(text);
    EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 10) << thing;
    EXPECT_LE(ids.size(), text.size() + 2);
  }
}

std::string NameOfVocabulary(const testing::TestParamInfo<const char*>& param) {
  std::string name = param.param;
  std::ranges::replace(name, '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Golden, VocabularyFile,
                         testing::Values("bert-bge", "deepseek-coder", "gpt-2", "llama-bpe", "llama-spm", "phi-3",
                                         "qwen2", "starcoder"),
                         NameOfVocabulary);

struct ModelCase {
  const char* golden;
  const char* file;
  int32_t bos, eos;
  bool add_bos;
};

class RealModel : public testing::TestWithParam<ModelCase> {};

TEST_P(RealModel, GivesTheExpectedIds) {
  const std::string golden = std::string(KVASIR_SHARED_DATA "/golden/") + GetParam().golden + "/tokens.json";
  const std::string model = ModelPathForTest(GetParam().file);
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << golden << " is not there";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << model << " is not there; set KVASIR_MODELS to its folder";
  const auto tokenizer = LoadTokenizer(model);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->bos(), GetParam().bos);
  EXPECT_EQ(tokenizer->eos(), GetParam().eos);
  EXPECT_EQ(tokenizer->add_bos(), GetParam().add_bos);
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(tokenizer->eos()));

  const auto cases = nlohmann::json::parse(ReadFileForTest(golden));
  ASSERT_GT(cases.size(), 40u);
  for (const auto& one : cases) {
    const auto text = one.at("text").get<std::string>();
    const auto ids = tokenizer->Encode(text, {.add_special = false});
    EXPECT_EQ(ids, one.at("ids").get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(tokenizer->Decode(ids), text);
  }
}

std::string NameOfModel(const testing::TestParamInfo<ModelCase>& param) {
  return std::string(param.param.file).substr(0, 6);
}
INSTANTIATE_TEST_SUITE_P(Golden, RealModel,
                         testing::Values(ModelCase{"smollm2-135m", "smollm2.gguf", 1, 2, false},
                                         ModelCase{"gemma3-270m", "gemma3-270m.gguf", 2, 1, true}),
                         NameOfModel);

TEST(RealModelChat, ControlTokensAreReadOnlyWhereAllowed) {
  const std::string model = ModelPathForTest("smollm2.gguf");
  if (!std::filesystem::exists(model)) GTEST_SKIP() << model << " is not there; set KVASIR_MODELS to its folder";
  const auto tokenizer = LoadTokenizer(model);
  ASSERT_NE(tokenizer, nullptr);
  const std::string turn = "<|im_start|>user\nHi<|im_end|>\n";
  const auto read = tokenizer->Encode(turn, {.parse_special = true});
  ASSERT_EQ(read.size(), 6u);
  EXPECT_EQ(read[0], 1);
  EXPECT_EQ(read[4], 2);
  EXPECT_EQ(tokenizer->Decode(read), "user\nHi\n");
  EXPECT_EQ(tokenizer->Decode(read, {.skip_special = false}), turn);
  for (const int32_t id : tokenizer->Encode(turn)) EXPECT_FALSE(tokenizer->IsControl(id));
  EXPECT_EQ(tokenizer->FindToken("<|im_end|>"), 2);
  EXPECT_EQ(tokenizer->eot(), 2);
}

}  // namespace
}  // namespace kvasir::text
