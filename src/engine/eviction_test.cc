// Eviction as a user meets it: budgets, bytes, conversations, and requests beside each other.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "engine/scheduler_testing.h"
#include "kvcache/eviction_policy.h"

namespace kvasir {
namespace {

constexpr size_t kPageBytes = 2 * 64 * 16 * 2;  // keys and values of 16 features in f16
constexpr size_t kHeads = 2 * 2;                // of all layers of the model without windows

std::vector<std::string> Policies() {
  std::vector<std::string> names;
  for (const kvcache::EvictionPolicy* policy : kvcache::EvictionPolicies()) names.emplace_back(policy->name());
  return names;
}

class EvictionTest : public SchedulerTest {
 protected:
  static std::unique_ptr<Engine> LoadWith(const std::string& kv, bool windowed = false, int context = 1024) {
    return Load({.kv = ParseKvSpec(kv).value(), .context_tokens = context}, windowed);
  }
  static std::vector<float> Logits(Session& session, std::span<const int32_t> tokens) {
    std::vector<float> all;
    const Status status = session.Evaluate(
        tokens, 0, 0, [&](int, std::span<const float> logits) { all.insert(all.end(), logits.begin(), logits.end()); });
    EXPECT_TRUE(status.has_value());
    return all;
  }
  static void ExpectThePreemptedGoOn(const std::string& kv, int context, int answer);
};

class EvictionPolicyTest : public EvictionTest, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Policies, EvictionPolicyTest, testing::ValuesIn(Policies()),
                         [](const auto& test) { return test.param; });

TEST_P(EvictionPolicyTest, AWholeBudgetChangesNoBit) {
  const Request request = Greedy(SomeTokens(500), 60);
  for (const char* kv : {"f16", "q8", "nuq4,recent=64"}) {
    const Generation whole = Alone(*LoadWith(kv), request);
    const Generation same = Alone(*LoadWith(fmt::format("{},evict={},budget=100%", kv, GetParam())), request);
    EXPECT_EQ(same.tokens, whole.tokens) << kv;
    EXPECT_EQ(same.kv_bytes, whole.kv_bytes) << kv;
  }
}

// Prompts in pieces beside others, preemptions and sessions all evict the same tokens at the same places.
TEST_P(EvictionPolicyTest, TheTextDoesNotDependOnHowItWasComputed) {
  for (const char* kv : {"f16", "kivi2,recent=0,sinks=0"}) {
    const auto engine = LoadWith(fmt::format("{},evict={},budget=200", kv, GetParam()));
    const auto scheduler = Make(*engine, {.itl_target_ms = 0.01});
    std::vector<Request> requests;
    std::vector<FutureCompletion> completions;
    for (int i = 0; i < 3; ++i) {
      requests.push_back(Greedy(SomeTokens(410 + 70 * i, i / 2), 150));
      completions.push_back(Start(*scheduler, {.request = requests.back()}));
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(completions[i].get()->generation.tokens, Alone(*engine, requests[i]).tokens) << kv << i;
    }
  }
}

TEST_P(EvictionPolicyTest, DecodingStaysWithinTheBudget) {
  constexpr int kContext = 3072;
  const auto engine = LoadWith(fmt::format("f16,evict={},budget=256", GetParam()), false, kContext);
  const auto session = std::move(engine->NewSession()).value();
  size_t most = 0;
  Request request = Greedy(SomeTokens(600), 2000);
  int count = 0;
  request.on_token = [&](const TokenEvent&) {
    if (++count > 2) most = std::max(most, session->kv_bytes());
    return true;
  };
  const auto generation = session->Generate(request);
  ASSERT_TRUE(generation.has_value());
  EXPECT_EQ(generation->tokens.size(), 2000u);
  // 256 tokens and 256 more, on average over heads; each head's packed pages and open page may be partly filled.
  EXPECT_LE(most, kHeads * (8 + 2) * kPageBytes);
  EXPECT_GT(most, kHeads * 4 * kPageBytes);
  EXPECT_EQ(engine->memory().kv_bytes, session->kv_bytes());
}

TEST_F(EvictionTest, BytesFallToWhatTheArithmeticSays) {
  struct Case {
    const char* kv;
    size_t pages;
  };
  // Of 600 tokens 88 lie behind block 8, which is the last that lies 64 tokens before the end: 2 pages. Beside them 168
  // tokens are kept: 3 pages. H2O keeps 128 recent tokens, so 152 behind block 7, and 104 beside them.
  for (const auto& [kv, pages] : {Case{"f16", 10}, Case{"f16,evict=snapkv,budget=256", 5},
                                  Case{"f16,evict=random,budget=256", 5}, Case{"f16,evict=h2o,budget=256", 3 + 2},
                                  Case{"f16,evict=tova,budget=50%", 2 + 4}, Case{"f16,evict=knorm,budget=600", 10}}) {
    const auto engine = LoadWith(kv);
    const auto session = std::move(engine->NewSession()).value();
    ASSERT_TRUE(session->Generate(Greedy(SomeTokens(600), 3)).has_value());
    EXPECT_EQ(session->length(), 602);
    EXPECT_EQ(session->kv_bytes(), kHeads * pages * kPageBytes) << kv;
    EXPECT_EQ(engine->memory().kv_bytes, session->kv_bytes()) << kv;
  }
}

TEST_F(EvictionTest, LayersWithAWindowAreLeftAlone) {
  const Request request = Greedy(SomeTokens(600), 3);
  const size_t whole = Alone(*LoadWith("f16", true), request).kv_bytes;
  const size_t evicted = Alone(*LoadWith("f16,evict=snapkv,budget=256", true), request).kv_bytes;
  EXPECT_EQ(whole - evicted, 2 * 5 * kPageBytes);  // one of the seven layers has no window
}

TEST_F(EvictionTest, ATextIsCompressedBeforeTheQuestions) {
  const auto engine = LoadWith("f16,evict=keydiff,budget=50%");
  const auto session = std::move(engine->NewSession()).value();
  const std::vector<int32_t> text = SomeTokens(600);
  Logits(*session, text);
  EXPECT_EQ(session->kv_bytes(), kHeads * 10 * kPageBytes);
  ASSERT_TRUE(session->CompressCache().has_value());
  const size_t compressed = kHeads * (2 + 4) * kPageBytes;
  EXPECT_EQ(session->kv_bytes(), compressed);
  for (const int question : {7, 8}) {
    Request request = Greedy(text, 5);
    request.prompt.insert(request.prompt.end(), static_cast<size_t>(question), question);
    const auto answer = session->Generate(request);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->cached_tokens, 600);
    EXPECT_EQ(answer->kv_bytes, compressed);
  }
  // A text that is evaluated behind it stays within the budget.
  Logits(*session, SomeTokens(400, 3));
  EXPECT_LE(session->kv_bytes(), kHeads * ((300 + 256) / 64 + 2) * kPageBytes);
  // From an empty cache on everything is as with a new session.
  session->Reset();
  EXPECT_EQ(session->Generate(Greedy(SomeTokens(500), 20))->tokens, Alone(*engine, Greedy(SomeTokens(500), 20)).tokens);
}

TEST_F(EvictionTest, WithoutAPolicyCompressionDoesNothing) {
  const auto engine = LoadWith("f16");
  const auto session = std::move(engine->NewSession()).value();
  Logits(*session, SomeTokens(600));
  ASSERT_TRUE(session->CompressCache().has_value());
  EXPECT_EQ(session->kv_bytes(), kHeads * 10 * kPageBytes);
}

TEST_F(EvictionTest, AConversationGoesOnFromWhatIsLeft) {
  for (const char* policy : {"snapkv", "h2o", "expected", "streaming"}) {
    const auto engine = LoadWith(fmt::format("f16,evict={},budget=256", policy));
    const auto session = std::move(engine->NewSession()).value();
    Request request = Greedy(SomeTokens(500), 20);
    const auto first = session->Generate(request);
    request.prompt.insert(request.prompt.end(), first->tokens.begin(), first->tokens.end());
    request.prompt.push_back(7);
    const auto second = session->Generate(request);
    ASSERT_TRUE(second.has_value()) << policy;
    EXPECT_EQ(second->cached_tokens, 519) << policy;
    // Another text has nothing in common: as in a new session.
    EXPECT_EQ(session->Generate(Greedy(SomeTokens(500, 5), 20))->tokens,
              Alone(*engine, Greedy(SomeTokens(500, 5), 20)).tokens)
        << policy;
  }
}

TEST_F(EvictionTest, ACancelledStepLeavesNoTrace) {
  for (const char* policy : {"h2o", "expected", "snapkv"}) {
    const auto engine = LoadWith(fmt::format("f16,evict={},budget=200", policy));
    const auto session = std::move(engine->NewSession()).value();
    std::atomic<bool> cancel = true;
    Request request = Greedy(SomeTokens(700), 30);
    request.cancel = &cancel;
    EXPECT_EQ(session->Generate(request)->reason, FinishReason::kCancelled);
    request.cancel = nullptr;
    EXPECT_EQ(session->Generate(request)->tokens, Alone(*engine, request).tokens) << policy;
  }
}

TEST_F(EvictionTest, ASharedBeginningStaysWhole) {
  const auto engine = LoadWith("f16,evict=snapkv,budget=200");
  const auto scheduler = Make(*engine);
  const Request one = Greedy(SomeTokens(600), 100);
  Request two = one;
  two.prompt.insert(two.prompt.end(), 80, 9);
  // The second starts from the blocks of the first, which evicts meanwhile.
  auto first = Start(*scheduler, {.request = one});
  const auto second = Start(*scheduler, {.request = two}).get();
  EXPECT_EQ(second->generation.cached_tokens, 576);
  EXPECT_EQ(second->generation.tokens, Alone(*engine, two).tokens);
  EXPECT_EQ(first.get()->generation.tokens, Alone(*engine, one).tokens);
  // And once more, when both have gone.
  const auto third = scheduler->Run({.request = two});
  EXPECT_EQ(third->generation.cached_tokens, 680 - 64);  // SnapKV sees the last 64 rows
  EXPECT_EQ(third->cache.reason, CacheMiss::kEviction);
  EXPECT_EQ(third->generation.tokens, Alone(*engine, two).tokens);
}

TEST_F(EvictionTest, WhatWasComputedAfterAnEvictionIsNotShared) {
  const auto engine = LoadWith("f16,evict=streaming,budget=200");
  const auto scheduler = Make(*engine);
  Request request = Greedy(SomeTokens(400), 300);
  const auto answer = scheduler->Run({.request = request});
  request.prompt.insert(request.prompt.end(), answer->generation.tokens.begin(), answer->generation.tokens.end());
  const auto next = scheduler->Run({.request = request});
  EXPECT_EQ(next->generation.cached_tokens, 384);  // the full blocks of the prompt, not those of the answer
  EXPECT_EQ(next->cache.reason, CacheMiss::kNotHeld);
  EXPECT_EQ(next->generation.tokens, Alone(*engine, request).tokens);
}

TEST_F(EvictionTest, PoliciesThatSumOverAllRowsShareNothing) {
  const auto engine = LoadWith("f16,evict=h2o,budget=200");
  const auto scheduler = Make(*engine);
  const Request request = Greedy(SomeTokens(400), 10);
  const auto cold = scheduler->Run({.request = request});
  const auto warm = scheduler->Run({.request = request});
  EXPECT_EQ(warm->generation.cached_tokens, 0);
  EXPECT_EQ(warm->cache.reason, CacheMiss::kEviction);
  EXPECT_EQ(CacheMissName(warm->cache.reason), "eviction");
  EXPECT_EQ(warm->generation.tokens, cold->generation.tokens);
}

// Memory for two and a half of four requests, which are `answer` tokens long: some are preempted, and computed again.
void EvictionTest::ExpectThePreemptedGoOn(const std::string& kv, int context, int answer) {
  const auto engine =
      Load({.kv = ParseKvSpec(kv).value(), .context_tokens = context, .kv_budget_bytes = 20 * kBlockBytes});
  const auto scheduler = Make(*engine);
  std::vector<Request> requests;
  std::vector<FutureCompletion> completions;
  for (int i = 0; i < 4; ++i) {
    requests.push_back(Greedy(SomeTokens(300, i), answer));
    completions.push_back(Start(*scheduler, {.request = requests.back()}));
  }
  std::vector<std::vector<int32_t>> texts;
  for (FutureCompletion& completion : completions) texts.push_back(completion.get()->generation.tokens);
  EXPECT_GT(scheduler->Stats().preemptions, 0) << kv;
  const auto roomy = LoadWith(kv, false, context);
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(texts[i], Alone(*roomy, requests[i]).tokens) << kv << i;
}

TEST_F(EvictionTest, ThePreemptedGoOnWithTheSameText) {
  for (const char* policy : {"random", "tova", "h2o"}) {
    ExpectThePreemptedGoOn(fmt::format("f16,evict={},budget=200", policy), 1024, 400);
  }
}

TEST_F(EvictionTest, ThePreemptedGoOnStreaming) {
  ExpectThePreemptedGoOn("f16,evict=streaming,budget=200", 512, 900);
}

// The whole text would not fit; what is left of it does.
TEST_F(EvictionTest, APreemptedAnswerMayBeLongerThanTheMemory) {
  constexpr size_t kBlocks = 11;  // the prompt's ten and one more
  const auto engine =
      Load({.kv = ParseKvSpec("f16,evict=streaming,budget=192").value(), .kv_budget_bytes = kBlocks * kBlockBytes});
  const auto scheduler = Make(*engine, {.prefix_cache = false});
  Request request = Greedy(SomeTokens(600), 400);
  const std::vector<int32_t> expected = Alone(*engine, request).tokens;
  ASSERT_EQ(expected.size(), 400);
  FutureCompletion other;
  int count = 0;
  request.on_token = [&](const TokenEvent&) {
    if (++count == 300) other = Start(*scheduler, {.request = Greedy(SomeTokens(500, 1), 2), .priority = 1});
    return true;
  };
  const auto done = Start(*scheduler, {.request = request}).get();
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->preemptions, 1);
  EXPECT_EQ(done->generation.reason, FinishReason::kLength);
  EXPECT_EQ(done->generation.tokens, expected);
  EXPECT_TRUE(other.get().has_value());
}

TEST_F(EvictionTest, AFullContextEndsInsteadOfShifting) {
  const auto engine = LoadWith("f16,evict=snapkv,budget=200");
  Request request = Greedy(SomeTokens(1000), 100);
  request.context_full = ContextFull::kShift;
  EXPECT_EQ(Alone(*engine, request).reason, FinishReason::kLength);
}

TEST_F(EvictionTest, ASpecificationMadeByHandIsChecked) {
  EngineOptions options = {.model = plain_path_};
  options.kv.evict = "lru";
  EXPECT_EQ(Engine::Load(options).error().code, ErrorCode::kNotFound);
  options.kv.evict = "snapkv";
  EXPECT_EQ(Engine::Load(options).error().code, ErrorCode::kInvalidArgument);
  options.kv.budget_share = 1.5;
  EXPECT_EQ(Engine::Load(options).error().code, ErrorCode::kInvalidArgument);
}

// In a model of one layer, keys and values depend on a token and its position alone. So what is left after any number
// of evictions must give what a fresh computation of the tokens that are left gives.
TEST_F(EvictionTest, StreamingIsAFreshComputationOfWhatIsLeft) {
  const std::string path = model::TinyModel{.layers = 1, .window = 0}.Write("streaming-one-layer");
  constexpr int kContext = 512;
  struct Case {
    const char* kv;
    float tolerance;  // of logits of about 1: keys that are stored with few bits are rounded again when they turn
  };
  for (const auto& [kv, tolerance] : {Case{"f32", 2e-5F}, Case{"f16", 2e-3F}, Case{"q8", 3e-2F},
                                      Case{"nuq4,recent=64,open=f32", 5e-3F}, Case{"k=q8,v=q8,recent=64", 3e-2F}}) {
    const auto load = [&](const std::string& spec, int context) {
      auto engine = Engine::Load({.model = path,
                                  .compute = ComputeMode::kExact,
                                  .kv = ParseKvSpec(spec).value(),
                                  .threads = 2,
                                  .context_tokens = context});
      KV_CHECK(engine.has_value());
      return std::move(*engine);
    };
    const auto engine = load(fmt::format("{},evict=streaming,budget=256", kv), kContext);
    const auto session = std::move(engine->NewSession()).value();
    const std::vector<int32_t> text = SomeTokens(3 * kContext + 77);
    const std::vector<float> streamed = Logits(*session, text);
    const auto left = static_cast<size_t>(session->length());
    ASSERT_LT(left, kContext);
    ASSERT_GT(left, 256u);
    std::vector<int32_t> kept(text.begin(), text.begin() + 64);
    kept.insert(kept.end(), text.end() - static_cast<std::ptrdiff_t>(left - 64), text.end());
    const auto whole = load(kv, kContext);
    const std::vector<float> fresh = Logits(*std::move(whole->NewSession()).value(), kept);
    ASSERT_EQ(fresh.size(), left * model::TinyModel::kVocabulary);
    double largest = 0;
    double moved = 0;  // what forgetting the rest changes, so that the tolerance means something
    const std::vector<float> all = Logits(*load(kv, 2048)->NewSession().value(), text);
    for (size_t i = 1; i <= model::TinyModel::kVocabulary; ++i) {
      largest = std::max<double>(largest, std::abs(streamed[streamed.size() - i] - fresh[fresh.size() - i]));
      moved = std::max<double>(moved, std::abs(all[all.size() - i] - fresh[fresh.size() - i]));
    }
    EXPECT_LT(largest, tolerance) << kv;
    EXPECT_GT(moved, 2 * tolerance) << kv;
  }
}

TEST_F(EvictionTest, ATextGoesOnBeyondTheContext) {
  constexpr int kContext = 512;
  for (const bool windowed : {false, true}) {
    for (const char* kv : {"f16", "q8", "nuq4,recent=64"}) {
      const auto engine = LoadWith(fmt::format("{},evict=streaming,budget=256", kv), windowed, kContext);
      const auto session = std::move(engine->NewSession()).value();
      const Request request = Greedy(SomeTokens(300), 3 * kContext);
      const auto generation = session->Generate(request);
      ASSERT_TRUE(generation.has_value());
      EXPECT_EQ(generation->tokens.size(), static_cast<size_t>(3 * kContext));
      EXPECT_EQ(generation->reason, FinishReason::kLength);
      EXPECT_LE(session->length(), 256 + 256);
      // The next turn computes the last token and what is new.
      Request next = request;
      next.prompt.insert(next.prompt.end(), generation->tokens.begin(), generation->tokens.end());
      next.prompt.push_back(7);
      next.max_tokens = 5;
      EXPECT_EQ(session->Generate(next)->cached_tokens, 300 + 3 * kContext - 1);
      // Another text from the same first page on does not take the rest for its own.
      Request other = Greedy(SomeTokens(300), 20);
      std::fill(other.prompt.begin() + 70, other.prompt.end(), 9);
      EXPECT_EQ(session->Generate(other)->tokens, Alone(*engine, other).tokens) << kv;
    }
  }
}

TEST_F(EvictionTest, APromptMayBeLongerThanTheContext) {
  constexpr int kContext = 512;
  const auto engine = LoadWith("f16,evict=streaming,budget=50%", false, kContext);
  const auto scheduler = Make(*engine, {.itl_target_ms = 0.01});
  std::vector<Request> requests;
  std::vector<FutureCompletion> completions;
  for (int i = 0; i < 3; ++i) {
    requests.push_back(Greedy(SomeTokens(3 * kContext + 100 * i, i / 2), 700));
    completions.push_back(Start(*scheduler, {.request = requests.back()}));
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto done = completions[i].get();
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(done->generation.tokens.size(), 700u);
    EXPECT_EQ(done->generation.tokens, Alone(*engine, requests[i]).tokens) << i;
  }
  // Where no number was asked for, an answer ends at the context's length, and not before its first token.
  requests[0].max_tokens = -1;
  EXPECT_EQ(Alone(*engine, requests[0]).tokens.size(), 1u);
  EXPECT_EQ(scheduler->Run({.request = requests[0]})->generation.tokens.size(), 1u);
  Request open = Greedy(SomeTokens(100), -1);
  EXPECT_EQ(Alone(*engine, open).tokens.size(), static_cast<size_t>(kContext - 100 + 1));
  EXPECT_EQ(scheduler->Run({.request = open})->generation.tokens, Alone(*engine, open).tokens);
  // Other policies keep the positions of the whole text.
  const auto recent = LoadWith("f16,evict=recent,budget=50%", false, kContext);
  EXPECT_FALSE((*recent->NewSession())->Generate(requests[1]).has_value());
}

// The memory that is planned holds a full context in the prefix index and what one request keeps of it.
TEST_F(EvictionTest, ThePlannedMemoryIsEnoughToStream) {
  const auto load = [] {
    return Engine::Load({.model = plain_path_,
                         .kv = ParseKvSpec("f16,evict=streaming,budget=50%").value(),
                         .threads = 2,
                         .context_tokens = 1024});
  };
  const auto engine = load();
  const auto other = load();
  ASSERT_TRUE(engine.has_value() && other.has_value());
  const auto scheduler = Make(**engine);
  const Request request = Greedy(SomeTokens(1000), 1500);
  const auto done = scheduler->Run({.request = request});
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->generation.tokens.size(), 1500u);
  // A session beside the scheduler, too: what the prefix index holds gives way.
  const auto beside = (*(*engine)->NewSession())->Generate(request);
  ASSERT_TRUE(beside.has_value()) << beside.error().message;
  EXPECT_EQ(beside->tokens, done->generation.tokens);
  const auto alone = (*(*other)->NewSession())->Generate(request);
  ASSERT_TRUE(alone.has_value()) << alone.error().message;
  EXPECT_EQ(done->generation.tokens, alone->tokens);
}

}  // namespace
}  // namespace kvasir
