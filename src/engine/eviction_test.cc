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
  for (const char* policy : {"snapkv", "h2o", "expected"}) {
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

// Memory for two and a half of the four requests: some are preempted, and computed again.
TEST_F(EvictionTest, ThePreemptedGoOnWithTheSameText) {
  for (const char* policy : {"random", "tova", "h2o"}) {
    const auto engine = Load({.kv = ParseKvSpec(fmt::format("f16,evict={},budget=200", policy)).value(),
                              .context_tokens = 1024,
                              .kv_budget_bytes = 20 * kBlockBytes});
    const auto scheduler = Make(*engine);
    std::vector<Request> requests;
    std::vector<FutureCompletion> completions;
    for (int i = 0; i < 4; ++i) {
      requests.push_back(Greedy(SomeTokens(300, i), 400));
      completions.push_back(Start(*scheduler, {.request = requests.back()}));
    }
    std::vector<std::vector<int32_t>> texts;
    for (FutureCompletion& completion : completions) texts.push_back(completion.get()->generation.tokens);
    EXPECT_GT(scheduler->Stats().preemptions, 0) << policy;
    const auto roomy = LoadWith(fmt::format("f16,evict={},budget=200", policy));
    for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(texts[i], Alone(*roomy, requests[i]).tokens) << policy << i;
  }
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

}  // namespace
}  // namespace kvasir
