// Checks against exact attention, as a server makes them.
#include <gtest/gtest.h>

#include <numeric>

#include "engine/scheduler_testing.h"

namespace kvasir {
namespace {

constexpr int kPrompt = 600;
constexpr int kAnswer = 40;
// Of the plain model: 2 layers of 2 KV heads, all watched; of the answer's tokens the last is never computed.
constexpr int64_t kQueryHeads = 2 * 4;
constexpr int64_t kCompared = 5;  // positions 600, 608, ... 632

class ShadowCheckTest : public SchedulerTest {
 protected:
  static ShadowStats Check(const std::string& kv, int requests = 1, int every = 1) {
    const auto engine = Load({.kv = ParseKvSpec(kv).value()});
    const auto scheduler = Make(*engine, {.shadow_check_every = every});
    for (int i = 0; i < requests; ++i) {
      const auto done = Start(*scheduler, {.request = Greedy(SomeTokens(kPrompt), kAnswer)}).get();
      EXPECT_TRUE(done.has_value());
    }
    return scheduler->Stats().shadow;
  }
  static int64_t Count(const ShadowStats& stats) {
    return std::accumulate(stats.comparisons.begin(), stats.comparisons.end(), int64_t{0});
  }
  static double Mean(const ShadowStats& stats) { return stats.distance_sum / static_cast<double>(Count(stats)); }
};

TEST_F(ShadowCheckTest, FindsNothingWhereTheCacheIsExact) {
  const ShadowStats stats = Check("f32");
  EXPECT_EQ(stats.requests, 1);
  EXPECT_EQ(Count(stats), kCompared * kQueryHeads);
  EXPECT_EQ(stats.comparisons.front(), Count(stats));
  EXPECT_LT(Mean(stats), 1e-5);
}

TEST_F(ShadowCheckTest, FindsMoreTheLessIsKept) {
  const double f16 = Mean(Check("f16"));
  const double q8 = Mean(Check("q8"));
  const double two_bits = Mean(Check("kivi2,recent=64"));
  EXPECT_GT(f16, 1e-6);
  EXPECT_LT(f16, 1e-3);
  EXPECT_LT(f16, q8);
  EXPECT_LT(q8, 0.05);
  EXPECT_LT(q8, two_bits);
  EXPECT_GT(Mean(Check("f16,evict=random,budget=200")), two_bits / 10);
}

TEST_F(ShadowCheckTest, OneInSoManyRequests) {
  const ShadowStats stats = Check("f16", 5, 2);
  EXPECT_EQ(stats.requests, 3);
  EXPECT_EQ(Count(stats), 3 * kCompared * kQueryHeads);
  EXPECT_EQ(Check("f16", 2, 0).requests, 0);
}

TEST_F(ShadowCheckTest, ChangesNoTextAndTakesNothingFromTheCache) {
  const auto engine = Load();
  const auto scheduler = Make(*engine, {.shadow_check_every = 2});
  const Request request = Greedy(SomeTokens(kPrompt), kAnswer);
  const auto expected = Alone(*engine, request).tokens;
  for (int i = 0; i < 3; ++i) {
    const auto done = Start(*scheduler, {.request = request}).get();
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(done->generation.tokens, expected);
    const bool checked = i % 2 == 0;
    EXPECT_EQ(done->cache.reason == CacheMiss::kShadowCheck, checked) << i;
    EXPECT_EQ(done->cache.matched_tokens == 0, checked) << i;
  }
  EXPECT_EQ(CacheMissName(CacheMiss::kShadowCheck), "shadow check");
}

TEST_F(ShadowCheckTest, RequestsThatLoseTheirMemoryAreStillCompared) {
  const auto engine = Load({.kv_budget_bytes = 14 * kBlockBytes});
  const auto scheduler = Make(*engine, {.prefix_cache = false, .shadow_check_every = 1});
  std::vector<FutureCompletion> completions;
  for (int i = 0; i < 3; ++i) {
    completions.push_back(Start(*scheduler, {.request = Greedy(SomeTokens(250, i), 130)}));
  }
  for (FutureCompletion& completion : completions) ASSERT_TRUE(completion.get().has_value());
  const SchedulerStats stats = scheduler->Stats();
  EXPECT_GT(stats.preemptions, 0);
  EXPECT_LT(Mean(stats.shadow), 1e-3);
}

TEST_F(ShadowCheckTest, ACountBelowZeroIsRefused) {
  const auto engine = Load();
  const auto scheduler = Scheduler::Create(*engine, {.shadow_check_every = -1});
  ASSERT_FALSE(scheduler.has_value());
  EXPECT_NE(scheduler.error().message.find("shadow_check_every is -1"), std::string::npos);
}

}  // namespace
}  // namespace kvasir
