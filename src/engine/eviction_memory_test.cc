// What eviction policies record has its place in the memory of a scheduler's requests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>

#include "engine/engine_impl.h"
#include "engine/kv_plan.h"
#include "engine/scheduler_testing.h"

namespace kvasir {
namespace {

class EvictionMemoryTest : public SchedulerTest {
 protected:
  static size_t RecordOf(Engine& engine) {
    const Engine::Impl& impl = engine.impl();
    return RecordBytes(impl.options.kv, impl.kv_shape, impl.attention.heads, impl.options.context_tokens);
  }
};

// Records that are much larger than the pages: they decide how many requests run.
TEST_F(EvictionMemoryTest, RequestsWaitUntilThereIsRoomForTheirRecords) {
  const KvSpec kv = ParseKvSpec("f16,evict=expected,budget=200").value();
  const size_t record = RecordOf(*Load({.kv = kv}));
  const size_t pages = 4 * kBlockBytes;
  ASSERT_GT(record, kBlockBytes);
  const auto engine = Load({.kv = kv, .kv_budget_bytes = 2 * record + 2 * pages + 2 * kBlockBytes});
  const auto scheduler = Make(*engine);
  std::mutex mutex;
  size_t most = 0;
  int most_running = 0;
  std::vector<Request> requests;
  std::vector<FutureCompletion> completions;
  for (int i = 0; i < 5; ++i) {
    requests.push_back(Greedy(SomeTokens(180, i), 40));
    Submission submission{.request = requests.back()};
    submission.request.on_token = [&](const TokenEvent&) {
      const kvcache::PoolStats stats = engine->impl().pages->stats();
      const std::lock_guard lock(mutex);
      most = std::max(most, stats.live_bytes + stats.reserved_bytes);
      most_running = std::max(most_running, static_cast<int>(stats.reserved_bytes / record));
      return true;
    };
    completions.push_back(Start(*scheduler, std::move(submission)));
  }
  std::vector<std::vector<int32_t>> texts;
  for (FutureCompletion& completion : completions) texts.push_back(completion.get()->generation.tokens);
  EXPECT_EQ(most_running, 2);
  EXPECT_LE(most, engine->impl().pages->budget_bytes());
  EXPECT_EQ(engine->impl().pages->stats().reserved_bytes, 0u);
  const auto roomy = Load({.kv = kv});
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(texts[i], Alone(*roomy, requests[i]).tokens) << i;
}

TEST_F(EvictionMemoryTest, APromptWithoutRoomForItsRecordIsRefused) {
  const KvSpec kv = ParseKvSpec("f16,evict=expected,budget=200").value();
  const size_t record = RecordOf(*Load({.kv = kv}));
  const auto engine = Load({.kv = kv, .kv_budget_bytes = record + 2 * kBlockBytes});
  const auto scheduler = Make(*engine, {.prefix_cache = false});
  const auto refused = scheduler->Run({.request = Greedy(SomeTokens(129), 5)});
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("129 tokens need"));
  EXPECT_TRUE(scheduler->Run({.request = Greedy(SomeTokens(100), 5)}).has_value());
}

TEST_F(EvictionMemoryTest, ASessionSetsItsRecordAside) {
  const KvSpec kv = ParseKvSpec("f16,evict=expected,budget=200").value();
  const size_t record = RecordOf(*Load({.kv = kv}));
  const auto engine = Load({.kv = kv, .kv_budget_bytes = 2 * record});
  auto first = engine->NewSession();
  auto second = engine->NewSession();
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(engine->NewSession().error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(engine->NewSession(ParseKvSpec("f16").value()).has_value());
  first->reset();
  EXPECT_TRUE(engine->NewSession().has_value());
}

}  // namespace
}  // namespace kvasir
