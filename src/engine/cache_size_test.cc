#include "engine/cache_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_impl.h"
#include "kvasir/calibrate.h"
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

// What a session holds when a prompt of the whole context was brought down to its budget, to the byte.
TEST(InspectCaches, BytesOfEvictingCachesAreThoseThatAreLeft) {
  const std::string windowed = model::TinyModel{.layers = 7, .head_dim = 64, .window = 16}.Write("cache_size_windowed");
  std::vector<int32_t> tokens;
  for (int i = 0; i < 1000; ++i) tokens.push_back(3 + i * i % 250);
  for (const std::string& model : {ModelPath(), windowed}) {
    for (const char* stored : {"f16", "q8", "k=q4,v=q8,recent=64", "k=q8,v=q8,sinks=0"}) {
      for (const char* evict :
           {"snapkv,budget=25%", "h2o,budget=50%", "tova,budget=400", "recent,budget=192", "pyramidkv,budget=50%",
            "streaming,budget=25%", "streaming,budget=700", "expected,budget=100%", "keydiff,budget=1200K"}) {
        EngineOptions options = Options();
        options.model = model;
        options.context_tokens = 1000;
        options.kv = ParseKvSpec(std::string(stored) + ",evict=" + evict).value();
        const auto sizes = InspectCaches(options, {&options.kv, 1});
        ASSERT_TRUE(sizes.has_value()) << sizes.error().message;
        const auto engine = Engine::Load(options).value();
        const auto session = engine->NewSession().value();
        ASSERT_TRUE(session->Evaluate(tokens, 1000, 0, [](int, std::span<const float>) {}).has_value());
        if (!options.kv.endless()) {  // which evicts when the context is full
          EXPECT_EQ(sizes->front().whole_bytes, session->kv_bytes()) << KvSpecText(options.kv);
        }
        ASSERT_TRUE(session->CompressCache().has_value());
        EXPECT_EQ(sizes->front().bytes, session->kv_bytes()) << KvSpecText(options.kv);
      }
    }
  }
}

TEST(InspectCaches, BitsOfEvictingCachesAreThoseOfTheContext) {
  EngineOptions options = Options();
  const auto sizes = InspectCaches(options, Caches({"q8,evict=tova,budget=25%", "q8,evict=tova,budget=512",
                                                    "q8,evict=tova,budget=5000", "ch4,evict=adakv,budget=50%", "ch4"}));
  ASSERT_TRUE(sizes.has_value()) << sizes.error().message;
  EXPECT_EQ((*sizes)[0].bits_per_element, 8.5 / 4);
  EXPECT_EQ((*sizes)[0].kept_bits_per_element, 8.5);
  EXPECT_EQ((*sizes)[0].kept_tokens, 256);
  EXPECT_EQ((*sizes)[1].bits_per_element, 8.5 / 2);
  EXPECT_EQ((*sizes)[2].bits_per_element, 8.5);
  EXPECT_EQ((*sizes)[2].bytes, (*sizes)[2].whole_bytes);
  EXPECT_NEAR((*sizes)[3].bits_per_element, (*sizes)[4].bits_per_element / 2, 1e-9);
  EXPECT_LT((*sizes)[3].bytes, (*sizes)[4].bytes);
  EXPECT_EQ((*sizes)[4].bytes, (*sizes)[4].whole_bytes);
  // Layers with a window keep what they have.
  options.model = model::TinyModel{.layers = 7, .window = 16}.Write("cache_size_bits");
  const auto windowed = InspectCaches(options, Caches({"q8,evict=tova,budget=25%"}));
  EXPECT_NEAR(windowed->front().bits_per_element, windowed->front().kept_bits_per_element * (6 + 0.25) / 7, 1e-9);
}

TEST(InspectCaches, BudgetsInBytesBoundWhatIsHeld) {
  EngineOptions options = Options();
  std::vector<int32_t> tokens;
  for (int i = 0; i < 1000; ++i) tokens.push_back(3 + i * i % 250);
  for (const char* kv : {"f16,evict=tova,budget=1000K", "k=q4,v=q4,recent=64,evict=random,budget=900K",
                         "f16,evict=streaming,budget=1M", "q8,evict=adakv,budget=600K"}) {
    options.kv = ParseKvSpec(kv).value();
    const auto engine = Engine::Load(options);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    EXPECT_EQ((*engine)->options().kv.budget_bytes, 0u);
    const auto session = (*engine)->NewSession().value();
    Request request{.prompt = std::vector<int32_t>(tokens.begin(), tokens.begin() + 600),
                    .max_tokens = 400,
                    .sampling = {.temperature = 0},
                    .ignore_end_of_text = true};
    size_t most = 0;
    int count = 0;
    request.on_token = [&](const TokenEvent&) {
      if (++count > 2) most = std::max(most, session->kv_bytes());
      return true;
    };
    ASSERT_TRUE(session->Generate(request).has_value());
    EXPECT_LE(most, options.kv.budget_bytes) << kv;
    EXPECT_GT(most, options.kv.budget_bytes / 2) << kv;  // whole pages, and what comes until the next eviction
  }
  EXPECT_THAT(InspectCaches(options, Caches({"f16,evict=tova,budget=100K"})).error().message,
              HasSubstr("a budget of 102400 bytes is too small for this model and context"));
}

// 2 H D^2 floats and a little more of each layer, which were in no plan.
TEST(InspectCaches, PeakBytesCountWhatPoliciesRecord) {
  const auto sizes = InspectCaches(Options(), Caches({"f16,evict=knorm,budget=50%", "f16,evict=expected,budget=50%",
                                                      "f16,evict=h2o,budget=50%", "f16"}));
  ASSERT_TRUE(sizes.has_value()) << sizes.error().message;
  const size_t expected = 3 * 4 * (2 * 64 * 64 + 3 * 64) * sizeof(float);  // layers, heads
  EXPECT_EQ((*sizes)[0].record_bytes, 0u);
  EXPECT_EQ((*sizes)[1].record_bytes, expected);
  EXPECT_EQ((*sizes)[2].record_bytes, 3 * 2 * 1024 * sizeof(float));  // layers, KV heads, tokens
  EXPECT_EQ((*sizes)[1].peak_bytes, (*sizes)[0].peak_bytes + expected);
  EXPECT_LT((*sizes)[1].tokens_per_gib, (*sizes)[3].tokens_per_gib);
  EngineOptions options = Options();
  options.kv = ParseKvSpec("f16,evict=expected,budget=50%").value();
  EXPECT_EQ((*Engine::Load(options))->memory().kv_budget_bytes, (*sizes)[1].peak_bytes);
}

TEST(InspectCaches, SaysWhereACalibrationIsMissing) {
  const auto sizes = InspectCaches(Options(), Caches({"f16", "q4", "ch4", "nuq3", "nuq3,levels=even", "ch4,rope=after",
                                                      "k=q8,v=ch4", "k=ch4,v=q8"}));
  ASSERT_TRUE(sizes.has_value()) << sizes.error().message;
  std::vector<bool> lacks;
  for (const CacheSize& size : *sizes) lacks.push_back(size.lacks_calibration);
  EXPECT_EQ(LacksCalibration(ModelPath(), ParseKvSpec("nuq3").value()), true);
  EXPECT_EQ(LacksCalibration(ModelPath(), ParseKvSpec("nuq3,weights=even").value()), false);  // it needs one
  EXPECT_EQ(LacksCalibration("no-such-model", ParseKvSpec("nuq3").value()), false);
  // Values are not steered, nor keys after RoPE.
  EXPECT_THAT(lacks, ElementsAre(false, false, true, true, false, false, false, true));
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
