#include "kvasir/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "model/tiny_model_test_support.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Engine> Load(EngineOptions options) {
  auto engine = Engine::Load(options);
  if (!engine) ADD_FAILURE() << engine.error().message;
  return std::move(engine).value();
}

std::vector<int32_t> SomeTokens(int count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) tokens[static_cast<size_t>(i)] = 3 + (i * 37 + i / 11) % 256;
  return tokens;
}

// The logits of every position of `tokens`, computed `chunk` at a time.
std::vector<float> AllLogits(const EngineOptions& options, std::span<const int32_t> tokens, int chunk) {
  const auto engine = Load(options);
  const auto session = engine->NewSession();
  std::vector<float> all;
  const Status status = (*session)->Evaluate(tokens, 0, chunk, [&](int, std::span<const float> logits) {
    all.insert(all.end(), logits.begin(), logits.end());
  });
  EXPECT_TRUE(status.has_value()) << status.error().message;
  return all;
}

std::string GreedyText(Engine& engine, int tokens, Request request = {}) {
  const auto session = engine.NewSession();
  request.prompt = SomeTokens(20);
  request.max_tokens = tokens;
  request.sampling.temperature = 0;
  request.ignore_end_of_text = true;
  const auto generation = (*session)->Generate(request);
  EXPECT_TRUE(generation.has_value()) << generation.error().message;
  return generation->text;
}

class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { path_ = model::TinyModel{}.Write("engine"); }
  static EngineOptions Options() { return {.model = path_, .threads = 2}; }
  static std::string path_;
};
std::string EngineTest::path_;

// The prompt crosses pages (64), spans (256) and the window of the local layers (16) many times.
TEST_F(EngineTest, LogitsDoNotDependOnChunksOrThreads) {
  const std::vector<int32_t> tokens = SomeTokens(600);
  struct Case {
    ComputeMode mode;
    const char* kv;
  };
  for (const auto [mode, kv] :
       {Case{ComputeMode::kExact, "auto"}, Case{ComputeMode::kBalanced, "auto"}, Case{ComputeMode::kBalanced, "q8"},
        Case{ComputeMode::kPrecise, "auto"}, Case{ComputeMode::kBalanced, "nuq4,recent=64"},
        Case{ComputeMode::kExact, "k=kivi2,v=q4,recent=0,sinks=100,outliers=1%"}}) {
    SCOPED_TRACE(kv);
    EngineOptions options = Options();
    options.compute = mode;
    options.kv = ParseKvSpec(kv).value();
    const std::vector<float> whole = AllLogits(options, tokens, 0);
    ASSERT_EQ(whole.size(), tokens.size() * model::TinyModel::kVocabulary);
    for (const int chunk : {1, 7, 64, 200}) {
      EXPECT_EQ(AllLogits(options, tokens, chunk), whole) << ComputeModeName(mode) << ", chunks of " << chunk;
    }
    options.threads = 1;
    EXPECT_EQ(AllLogits(options, tokens, 0), whole) << ComputeModeName(mode) << ", one thread, in one piece";
    EXPECT_EQ(AllLogits(options, tokens, 64), whole) << ComputeModeName(mode) << ", one thread, in chunks";
  }
}

TEST_F(EngineTest, ModesAgreeInTheOrderOfTheirPrecision) {
  const std::vector<int32_t> tokens = SomeTokens(200);
  const auto logits = [&](ComputeMode mode) {
    EngineOptions options = Options();
    options.compute = mode;
    return AllLogits(options, tokens, 0);
  };
  const std::vector<float> exact = logits(ComputeMode::kExact);
  const auto error = [&](ComputeMode mode) {
    const std::vector<float> other = logits(mode);
    double squares = 0;
    for (size_t i = 0; i < exact.size(); ++i) squares += std::pow(exact[i] - other[i], 2);
    return std::sqrt(squares / static_cast<double>(exact.size()));
  };
  const double fast = error(ComputeMode::kFast);
  const double balanced = error(ComputeMode::kBalanced);
  const double precise = error(ComputeMode::kPrecise);
  EXPECT_GT(precise, 0);
  EXPECT_LT(precise, balanced);
  EXPECT_LE(balanced, fast);
}

TEST_F(EngineTest, SameSeedSameTextWhateverTheThreads) {
  EngineOptions options = Options();
  Request request;
  request.sampling.seed = 42;
  request.prompt = SomeTokens(100);
  request.max_tokens = 40;
  std::vector<std::vector<int32_t>> texts;
  for (const int threads : {1, 2, 3}) {
    options.threads = threads;
    const auto engine = Load(options);
    texts.push_back((*engine->NewSession())->Generate(request)->tokens);
  }
  EXPECT_EQ(texts[0].size(), 40u);
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_EQ(texts[0], texts[2]);
}

TEST_F(EngineTest, GreedyTakesTheMostLikelyTokenOfEachStep) {
  const auto engine = Load(Options());
  const auto session = std::move(engine->NewSession()).value();
  Request request{.prompt = SomeTokens(10), .max_tokens = 12, .ignore_end_of_text = true};
  request.sampling.temperature = 0;
  const auto generation = session->Generate(request);
  ASSERT_TRUE(generation.has_value());
  std::vector<int32_t> all = request.prompt;
  all.insert(all.end(), generation->tokens.begin(), generation->tokens.end());
  const auto check = std::move(engine->NewSession()).value();
  ASSERT_TRUE(check
                  ->Evaluate(all, 9, 0,
                             [&](int i, std::span<const float> logits) {
                               if (static_cast<size_t>(i) + 1 == all.size()) return;
                               const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
                               EXPECT_EQ(best, all[static_cast<size_t>(i) + 1]) << "position " << i;
                             })
                  .has_value());
}

TEST_F(EngineTest, ASessionComputesOnlyWhatIsNew) {
  // Without windows the cache can be rewound anywhere.
  const std::string path = model::TinyModel{.window = 0}.Write("reuse");
  const auto engine = Load({.model = path, .threads = 2});
  const auto session = std::move(engine->NewSession()).value();
  Request request{.prompt = SomeTokens(150), .max_tokens = 5, .ignore_end_of_text = true};
  request.sampling.temperature = 0;
  const auto first = session->Generate(request);
  EXPECT_EQ(first->cached_tokens, 0);
  EXPECT_EQ(first->prompt_tokens, 150);

  Request longer = request;
  longer.prompt.insert(longer.prompt.end(), first->tokens.begin(), first->tokens.end());
  longer.prompt.push_back(9);
  const auto second = session->Generate(longer);
  EXPECT_EQ(second->cached_tokens, 154);  // all but the last generated token, which was never computed, and the new one
  const auto fresh = (*engine->NewSession())->Generate(longer);
  EXPECT_EQ(second->tokens, fresh->tokens);

  Request other = request;
  other.prompt[70] = 200;
  const auto third = session->Generate(other);
  EXPECT_EQ(third->cached_tokens, 70);
  EXPECT_EQ(third->tokens, (*engine->NewSession())->Generate(other)->tokens);
}

TEST_F(EngineTest, ARewoundSlidingWindowStillGivesTheSameText) {
  const auto engine = Load(Options());
  const auto session = std::move(engine->NewSession()).value();
  Request request{.prompt = SomeTokens(300), .max_tokens = 4, .ignore_end_of_text = true};
  request.sampling.temperature = 0;
  ASSERT_TRUE(session->Generate(request).has_value());
  request.prompt.resize(100);
  EXPECT_EQ(session->Generate(request)->tokens, (*engine->NewSession())->Generate(request)->tokens);
}

TEST_F(EngineTest, StopsAtLimitsStringsAndCallbacks) {
  const auto engine = Load(Options());
  const std::string text = GreedyText(*engine, 30);
  ASSERT_GE(text.size(), 10u);
  const auto session = std::move(engine->NewSession()).value();
  Request request{.prompt = SomeTokens(20), .max_tokens = 30, .ignore_end_of_text = true};
  request.sampling.temperature = 0;
  EXPECT_EQ(session->Generate(request)->reason, FinishReason::kLength);

  const std::string stop = text.substr(5, 3);
  request.stop = {stop};
  const auto stopped = session->Generate(request);
  EXPECT_EQ(stopped->reason, FinishReason::kStop);
  EXPECT_EQ(stopped->text, text.substr(0, text.find(stop)));
  EXPECT_EQ(stopped->stop_match, stop);

  request.stop = {"no model of bytes writes this"};
  EXPECT_EQ(session->Generate(request)->stop_match, "");
  request.stop.clear();
  int seen = 0;
  request.on_token = [&](const TokenEvent&) { return ++seen < 3; };
  const auto cancelled = session->Generate(request);
  EXPECT_EQ(cancelled->reason, FinishReason::kCancelled);
  EXPECT_EQ(cancelled->tokens.size(), 3u);

  request.on_token = nullptr;
  const std::atomic<bool> cancel = true;
  request.cancel = &cancel;
  request.prompt = SomeTokens(400);
  EXPECT_EQ(session->Generate(request)->reason, FinishReason::kCancelled);
  request.cancel = nullptr;
  EXPECT_EQ(session->Generate(request)->tokens, (*engine->NewSession())->Generate(request)->tokens);
}

TEST_F(EngineTest, ControlTokensHaveNoTextUnlessTheyAreShown) {
  const auto engine = Load(Options());
  const int32_t bos = engine->tokenizer().bos();
  Request request{.prompt = SomeTokens(20), .max_tokens = 3, .ignore_end_of_text = true};
  request.sampling.logit_bias = {{bos, 1e6F}};
  const auto hidden = (*engine->NewSession())->Generate(request);
  EXPECT_EQ(hidden->tokens, std::vector<int32_t>(3, bos));
  EXPECT_EQ(hidden->text, "");
  request.shown_tokens = {bos};
  EXPECT_EQ((*engine->NewSession())->Generate(request)->text, "<bos><bos><bos>");
  request.stop = {"s><b"};
  EXPECT_EQ((*engine->NewSession())->Generate(request)->text, "<bo");
}

TEST_F(EngineTest, StreamedTextIsTheText) {
  const auto engine = Load(Options());
  std::string streamed;
  Request request;
  request.on_token = [&](const TokenEvent& event) {
    streamed += event.text;
    return true;
  };
  EXPECT_EQ(GreedyText(*engine, 50, request), streamed);
}

TEST_F(EngineTest, AFullContextEndsOrShifts) {
  EngineOptions options = Options();
  options.context_tokens = 512;
  const auto engine = Load(options);
  Request request{.prompt = SomeTokens(500), .max_tokens = 400, .ignore_end_of_text = true};
  request.sampling.temperature = 0;
  const auto ended = (*engine->NewSession())->Generate(request);
  EXPECT_EQ(ended->reason, FinishReason::kLength);
  EXPECT_EQ(ended->tokens.size(), 13u);  // 12 more fit, and the one after them is known
  request.context_full = ContextFull::kShift;
  const auto session = std::move(engine->NewSession()).value();
  const auto shifted = session->Generate(request);
  ASSERT_TRUE(shifted.has_value()) << shifted.error().message;
  EXPECT_EQ(shifted->tokens.size(), 400u);
  EXPECT_LE(session->length(), 512);
}

TEST_F(EngineTest, BadRequestsNameWhatIsWrong) {
  EngineOptions options = Options();
  options.context_tokens = 256;
  const auto engine = Load(options);
  const auto session = std::move(engine->NewSession()).value();
  EXPECT_THAT(session->Generate({}).error().message, HasSubstr("no tokens"));
  EXPECT_THAT(session->Generate({.prompt = {1, 999}}).error().message, HasSubstr("999"));
  EXPECT_THAT(session->Generate({.prompt = {-1}}).error().message, HasSubstr("-1"));
  const auto too_long = session->Generate({.prompt = SomeTokens(300)});
  EXPECT_THAT(too_long.error().message, HasSubstr("300"));
  EXPECT_THAT(too_long.error().message, HasSubstr("256"));
  Request bad{.prompt = {3}};
  bad.sampling.top_p = -1;
  EXPECT_THAT(session->Generate(bad).error().message, HasSubstr("top_p"));
}

TEST_F(EngineTest, MemoryIsPlannedBeforeItIsTaken) {
  EngineOptions options = Options();
  options.context_tokens = 1 << 30;
  const auto impossible = Engine::Load(options);
  ASSERT_FALSE(impossible.has_value());
  EXPECT_EQ(impossible.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(impossible.error().message, HasSubstr("MB"));

  options.context_tokens = 512;
  options.kv_budget_bytes = 64 << 10;
  const auto engine = Load(options);
  const auto session = std::move(engine->NewSession()).value();
  const auto generation = session->Generate({.prompt = SomeTokens(400)});
  ASSERT_FALSE(generation.has_value());
  EXPECT_EQ(generation.error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(session->Generate({.prompt = SomeTokens(10), .max_tokens = 2}).has_value());
}

TEST_F(EngineTest, SessionsOfSeveralThreadsTakeTurns) {
  const auto engine = Load(Options());
  const std::string alone = GreedyText(*engine, 20);
  std::vector<std::string> texts(4);
  std::vector<std::thread> threads;
  for (std::string& text : texts) threads.emplace_back([&] { text = GreedyText(*engine, 20); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) EXPECT_EQ(text, alone);
}

TEST_F(EngineTest, MemoryMayBeAskedForDuringAStep) {
  const auto engine = Load(Options());
  std::atomic<bool> done = false;
  std::thread asker([&] {
    while (!done) EXPECT_GT(engine->memory().activation_bytes, 0u);
  });
  EXPECT_FALSE(GreedyText(*engine, 30).empty());
  done = true;
  asker.join();
}

TEST_F(EngineTest, ReportsWhatItHolds) {
  const auto engine = Load(Options());
  EXPECT_EQ(engine->info().architecture, "gemma3");
  EXPECT_EQ(engine->info().layers, 7);
  EXPECT_GT(engine->info().weight_bytes_per_token, 0u);
  EXPECT_EQ(engine->options().context_tokens, 1024);
  const auto session = std::move(engine->NewSession()).value();
  EXPECT_EQ(engine->memory().kv_bytes, 0u);
  ASSERT_TRUE(session->Generate({.prompt = SomeTokens(10), .max_tokens = 2}).has_value());
  // One page of 64 tokens, keys and values of 16 features in f16, for 7 layers and 2 heads.
  EXPECT_EQ(engine->memory().kv_bytes, 7u * 2 * 2 * 64 * 16 * 2);
  EXPECT_EQ(engine->memory().kv_bytes, session->kv_bytes());
  session->Reset();
  EXPECT_EQ(engine->memory().kv_bytes, 0u);
  EXPECT_FALSE(engine->chat_template().has_value());
}

}  // namespace
}  // namespace kvasir
