#include "model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/precision.h"
#include "model/tiny_model_test_support.h"

namespace kvasir::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Loads a tiny model whose header was changed by `spoil`, and returns the error's message ("" if it loads).
template <typename F>
std::string ErrorOf(F&& spoil) {
  files::GgufHeader header = TinyModel{}.Header();
  spoil(header);
  const auto gguf = files::GgufFile::Open(TinyModel::Write(header, "spoiled"));
  if (!gguf) return gguf.error().message;
  base::ThreadPool pool(2);
  const auto model = LoadModel(*gguf, {.pool = &pool, .max_rows = 16});
  return model ? "" : model.error().message;
}

std::string ErrorOfKey(const std::string& key, uint32_t value) {
  return ErrorOf([&](files::GgufHeader& header) { header.Set<uint32_t>(key, value); });
}

TEST(LoadModel, LoadsTheTinyModel) {
  EXPECT_EQ(ErrorOf([](files::GgufHeader&) {}), "");
}

TEST(LoadModel, RefusesSizesThatCannotBe) {
  for (const char* key : {"gemma3.block_count", "gemma3.attention.head_count", "gemma3.attention.head_count_kv",
                          "gemma3.embedding_length", "gemma3.feed_forward_length", "gemma3.context_length"}) {
    EXPECT_THAT(ErrorOfKey(key, 0), AllOf(HasSubstr(key), HasSubstr("0"))) << key;
    EXPECT_THAT(ErrorOfKey(key, 0xffffffff), HasSubstr("4294967295")) << key;
  }
  EXPECT_THAT(ErrorOfKey("gemma3.attention.head_count_kv", 3), HasSubstr("evenly"));
  EXPECT_THAT(ErrorOfKey("gemma3.attention.key_length", 24), HasSubstr("multiple of 16"));
  EXPECT_THAT(ErrorOfKey("gemma3.attention.value_length", 32), HasSubstr("equal"));
  EXPECT_THAT(ErrorOfKey("gemma3.rope.dimension_count", 15), HasSubstr("odd"));
  EXPECT_THAT(ErrorOfKey("gemma3.rope.dimension_count", 64), HasSubstr("64"));
}

TEST(LoadModel, NamesTheTensorThatIsMissingOrMisshapen) {
  EXPECT_THAT(ErrorOfKey("gemma3.block_count", 8), HasSubstr("blk.7."));
  EXPECT_THAT(ErrorOfKey("gemma3.feed_forward_length", 128), AllOf(HasSubstr("ffn_gate"), HasSubstr("128")));
  EXPECT_THAT(ErrorOfKey("gemma3.attention.head_count", 2), AllOf(HasSubstr("attn_q"), HasSubstr("32")));
}

TEST(LoadModel, ListsTheArchitecturesItKnows) {
  const std::string message =
      ErrorOf([](files::GgufHeader& header) { header.SetString("general.architecture", "mamba"); });
  EXPECT_THAT(message, AllOf(HasSubstr("mamba"), HasSubstr("llama"), HasSubstr("gemma3")));
}

TEST(LoadModel, RefusesWrongTypesAndUnknownScaling) {
  EXPECT_THAT(ErrorOf([](files::GgufHeader& header) { header.SetString("gemma3.block_count", "7"); }),
              HasSubstr("gemma3.block_count"));
  EXPECT_THAT(ErrorOf([](files::GgufHeader& header) { header.SetString("gemma3.rope.scaling.type", "magic"); }),
              HasSubstr("magic"));
  EXPECT_THAT(ErrorOf([](files::GgufHeader& header) { header.Remove("gemma3.context_length"); }),
              HasSubstr("gemma3.context_length"));
}

TEST(ReadConfig, LocalAndGlobalLayersOfGemma) {
  const auto gguf = files::GgufFile::Open(TinyModel{}.Write("config"));
  const auto config = ReadConfig(*gguf, 0);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->windows, (std::vector<int>{16, 16, 16, 16, 16, 0, 16}));
  EXPECT_EQ(config->rope_of_layer, (std::vector<int>{1, 1, 1, 1, 1, 0, 1}));
  EXPECT_FLOAT_EQ(config->embedding_scale, 8);
  EXPECT_FLOAT_EQ(config->attention_scale, 0.25);
}

TEST(PlanWeights, IsWhatLoadingTakes) {
  for (const ComputeMode mode : {ComputeMode::kBalanced, ComputeMode::kExact}) {
    const auto gguf = files::GgufFile::Open(TinyModel{}.Write("plan"));
    base::ThreadPool pool(1);
    const auto plan = PlanWeights(*gguf, mode, 64);
    const auto model = LoadModel(*gguf, {.compute = mode, .pool = &pool, .max_rows = 64});
    ASSERT_TRUE(plan.has_value() && model.has_value());
    EXPECT_EQ(plan->weight_bytes, (*model)->weight_bytes());
    EXPECT_LE(plan->activation_bytes, (*model)->activation_bytes());
    EXPECT_GE(2 * plan->activation_bytes + (4u << 20), (*model)->activation_bytes());
  }
}

}  // namespace
}  // namespace kvasir::model
