#include "engine/cache_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_impl.h"
#include "kvasir/engine.h"
#include "model/tiny_model_test_support.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kGib = size_t{1} << 30;

std::string ModelPath() {
  static const std::string path =
      model::TinyModel{.architecture = "llama", .layers = 3, .head_dim = 64, .window = 0}.Write("cache_size");
  return path;
}

EngineOptions Options() {
  return {.model = ModelPath(), .threads = 1, .context_tokens = 1024};
}

std::vector<KvSpec> Caches(std::initializer_list<const char*> texts) {
  std::vector<KvSpec> caches;
  for (const char* text : texts) caches.push_back(ParseKvSpec(text).value());
  return caches;
}

TEST(InspectCaches, CountsBitsBytesAndTokens) {
  const auto sizes = InspectCaches(Options(), Caches({"f16", "q8", "f32", "ch4"}));
  ASSERT_TRUE(sizes.has_value()) << sizes.error().message;
  EXPECT_EQ((*sizes)[0].bits_per_element, 16);
  EXPECT_EQ((*sizes)[1].bits_per_element, 8.5);
  EXPECT_EQ((*sizes)[2].bits_per_element, 32);
  EXPECT_NEAR((*sizes)[3].bits_per_element, 4.5, 0.01);
  const size_t f16_token = 2 * 2 * 3 * 2 * 64;  // bytes, keys and values, layers, heads, features
  EXPECT_EQ((*sizes)[0].bytes, 1024 * f16_token);
  EXPECT_EQ((*sizes)[0].peak_bytes, 1024 * f16_token);
  EXPECT_EQ((*sizes)[0].tokens_per_gib, static_cast<int64_t>(kGib / f16_token / 64 * 64));
  // The first page and the last 128 to 383 tokens are open.
  EXPECT_GT(static_cast<double>((*sizes)[3].bytes), 1024.0 * f16_token * 4.5 / 16);
  EXPECT_LT((*sizes)[3].bytes, (*sizes)[1].bytes);
  EXPECT_GE((*sizes)[3].peak_bytes, (*sizes)[3].bytes);
  EXPECT_GT((*sizes)[3].tokens_per_gib, 3 * (*sizes)[0].tokens_per_gib);
}

TEST(InspectCaches, TokensPerGibIsTheMostThatFits) {
  for (const char* kv : {"f16", "ch2", "q8"}) {
    EngineOptions options = Options();
    const auto whole = InspectCaches(options, Caches({kv}));
    const auto tokens = static_cast<int>(whole->front().tokens_per_gib);
    options.context_tokens = tokens;
    EXPECT_LE(InspectCaches(options, Caches({kv}))->front().peak_bytes, kGib) << kv;
    options.context_tokens = tokens + 64;
    EXPECT_GT(InspectCaches(options, Caches({kv}))->front().peak_bytes, kGib) << kv;
  }
}

TEST(InspectCaches, NamesWhatCannotBe) {
  EXPECT_THAT(InspectCaches(Options(), Caches({"ch4,k[7]=ch2"})).error().message, HasSubstr("speaks of layer 7"));
  EXPECT_THAT(InspectCaches(Options(), Caches({"auto:3bits"})).error().message, HasSubstr("'kvasir calibrate'"));
  EngineOptions other = Options();
  other.model = "no-such-model";
  EXPECT_EQ(InspectCaches(other, Caches({"f16"})).error().code, ErrorCode::kNotFound);
}

TEST(InspectModel, ComparesTheCacheWithTheUsualOnes) {
  const auto names = [](const char* kv, ComputeMode compute) {
    EngineOptions options = Options();
    options.kv = ParseKvSpec(kv).value();
    options.compute = compute;
    std::vector<std::string> texts;
    const auto summary = InspectModel(options);
    for (const CacheSize& cache : summary->caches) texts.push_back(KvSpecText(cache.kv));
    return texts;
  };
  EXPECT_THAT(names("auto", ComputeMode::kBalanced), ElementsAre("f16", "q8"));
  EXPECT_THAT(names("auto", ComputeMode::kExact), ElementsAre("f32", "f16", "q8"));
  EXPECT_THAT(names("ch3", ComputeMode::kBalanced), ElementsAre("ch3", "f16", "q8"));
  EXPECT_THAT(names("ch3,k[9]=ch4", ComputeMode::kBalanced), ElementsAre());
}

TEST(NewSession, MayHaveACacheOfItsOwn) {
  EngineOptions options = Options();
  options.kv_budget_bytes = size_t{16} << 20;
  const auto engine = Engine::Load(options);
  ASSERT_TRUE(engine.has_value()) << engine.error().message;
  std::vector<int32_t> tokens;
  for (int i = 0; i < 900; ++i) tokens.push_back(3 + i * i % 250);
  for (const char* kv : {"f16", "q8", "ch3", "f32", "q8,evict=snapkv,budget=256"}) {
    const KvSpec spec = ParseKvSpec(kv).value();
    // The same as that of an engine that was loaded with it.
    EngineOptions own = options;
    own.kv = spec;
    const auto other = Engine::Load(own);
    const auto expected_session = (*other)->NewSession();
    const auto session = (*engine)->NewSession(spec);
    ASSERT_TRUE(session.has_value()) << session.error().message;
    const Request request{
        .prompt = tokens, .max_tokens = 20, .sampling = {.temperature = 0}, .ignore_end_of_text = true};
    const auto expected = (*expected_session)->Generate(request);
    const auto got = (*session)->Generate(request);
    ASSERT_TRUE(expected.has_value() && got.has_value());
    EXPECT_EQ(got->tokens, expected->tokens) << kv;
    EXPECT_EQ((*session)->kv_bytes(), (*expected_session)->kv_bytes()) << kv;
  }
  EXPECT_THAT((*engine)->NewSession(ParseKvSpec("auto:3bits").value()).error().message, HasSubstr("kvasir calibrate"));
  EXPECT_THAT((*engine)->NewSession(ParseKvSpec("ch4,v[3]=ch2").value()).error().message, HasSubstr("layer 3"));
}

}  // namespace
}  // namespace kvasir
