// What requests share, and what happens when memory is short.
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "engine/scheduler_testing.h"

namespace kvasir {
namespace {

using namespace std::chrono_literals;

class SchedulerMemoryTest : public SchedulerTest {};

TEST_F(SchedulerMemoryTest, ARequestStartsFromTheLongestHeldBeginning) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  const Request request = Greedy(SomeTokens(200), 4);
  const auto cold = scheduler->Run({.request = request});
  EXPECT_EQ(cold->cache.reason, CacheMiss::kNotHeld);
  EXPECT_EQ(cold->generation.cached_tokens, 0);
  const auto warm = scheduler->Run({.request = request});
  EXPECT_EQ(warm->generation.cached_tokens, 192);
  EXPECT_EQ(warm->cache.matched_tokens, 192);
  EXPECT_EQ(warm->cache.reason, CacheMiss::kNotHeld);  // only full blocks are held
  EXPECT_EQ(warm->generation.tokens, cold->generation.tokens);

  Request other = request;
  other.prompt[150] = 200;
  const auto diverged = scheduler->Run({.request = other});
  EXPECT_EQ(diverged->cache.matched_tokens, 150);
  EXPECT_EQ(diverged->cache.reason, CacheMiss::kDiverged);
  EXPECT_EQ(diverged->generation.tokens, Alone(*engine, other).tokens);

  Request shorter = request;
  shorter.prompt.resize(128);
  const auto whole = scheduler->Run({.request = shorter});
  EXPECT_EQ(whole->cache.matched_tokens, 127);  // the last token's logits are wanted
  EXPECT_EQ(whole->cache.reason, CacheMiss::kNone);
  EXPECT_EQ(whole->generation.tokens, Alone(*engine, shorter).tokens);

  const SchedulerStats stats = scheduler->Stats();
  EXPECT_EQ(stats.prefix_lookups, 4);
  EXPECT_EQ(stats.prefix_hits, 3);
  EXPECT_EQ(stats.cached_tokens, 192 + 150 + 127);
  EXPECT_EQ(stats.prompt_tokens, 200 + 8 + 50 + 1);
  EXPECT_EQ(stats.kv_cached_bytes, stats.kv_bytes);
}

TEST_F(SchedulerMemoryTest, AConversationGoesOnFromItsAnswer) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  Request request = Greedy(SomeTokens(100), 60);
  const auto answer = scheduler->Run({.request = request});
  request.prompt.insert(request.prompt.end(), answer->generation.tokens.begin(), answer->generation.tokens.end());
  request.prompt.push_back(9);
  EXPECT_EQ(scheduler->Run({.request = request})->generation.cached_tokens, 128);
}

TEST_F(SchedulerMemoryTest, TenantsAndSaltsShareNothing) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  const Request request = Greedy(SomeTokens(200), 1);
  const auto cached = [&](const char* tenant, const char* salt) {
    return scheduler->Run({.request = request, .tenant = tenant, .cache_salt = salt})->generation.cached_tokens;
  };
  EXPECT_EQ(cached("a", "bc"), 0);
  EXPECT_EQ(cached("ab", "c"), 0);
  EXPECT_EQ(cached("a", ""), 0);
  EXPECT_EQ(cached("", "abc"), 0);
  EXPECT_EQ(cached("a", "bc"), 192);
}

TEST_F(SchedulerMemoryTest, WithoutAPrefixCacheNothingIsKept) {
  const auto engine = Load();
  const auto scheduler = Make(*engine, {.prefix_cache = false});
  for (int i = 0; i < 2; ++i) {
    const auto completion = scheduler->Run({.request = Greedy(SomeTokens(200), 1)});
    EXPECT_EQ(completion->cache.reason, CacheMiss::kDisabled);
    EXPECT_EQ(completion->generation.cached_tokens, 0);
    EXPECT_EQ(engine->memory().kv_bytes, 0u);
  }
}

TEST_F(SchedulerMemoryTest, WhatSeveralBeginWithIsComputedOnce) {
  for (const bool windowed : {false, true}) {
    const auto engine = Load({}, windowed);
    const auto scheduler = Make(*engine);
    std::vector<Request> requests;
    for (int i = 0; i < 8; ++i) {
      Request request = Greedy(SomeTokens(700), 5);
      for (const int32_t token : SomeTokens(30, i + 1)) request.prompt.push_back(token);
      requests.push_back(request);
    }
    std::vector<FutureCompletion> answers;
    for (const Request& request : requests) answers.push_back(Start(*scheduler, {.request = request}));
    for (size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i].get()->generation.tokens, Alone(*engine, requests[i]).tokens);
    }
    const SchedulerStats stats = scheduler->Stats();
    EXPECT_EQ(stats.prefix_hits, 7);
    // The first computes all; the others their own 30 tokens and what of the common 700 was not in a full block yet.
    EXPECT_LE(stats.prompt_tokens, 730 + 7 * (30 + 700 % 64));
    EXPECT_EQ(stats.prompt_tokens + stats.cached_tokens, 8 * 730);
  }
}

// Memory for four blocks, and two requests that grow to three each: one has to give way, and is computed again.
TEST_F(SchedulerMemoryTest, APreemptedRequestGetsTheSameText) {
  for (const bool prefix_cache : {true, false}) {
    const auto engine = Load({.kv_budget_bytes = 4 * kBlockBytes});
    const auto scheduler = Make(*engine, {.prefix_cache = prefix_cache});
    std::vector<Request> requests;
    for (int i = 0; i < 3; ++i) {
      requests.push_back(Greedy(SomeTokens(40, i), 110));
      requests.back().sampling.temperature = i == 1 ? 1.0F : 0.0F;
      requests.back().sampling.seed = 5;
    }
    std::vector<FutureCompletion> answers;
    for (const Request& request : requests) answers.push_back(Start(*scheduler, {.request = request}));
    int preemptions = 0;
    for (size_t i = 0; i < answers.size(); ++i) {
      const auto answer = answers[i].get();
      ASSERT_TRUE(answer.has_value()) << answer.error().message;
      preemptions += answer->preemptions;
      EXPECT_EQ(answer->generation.reason, FinishReason::kLength);
      EXPECT_EQ(answer->generation.tokens.size(), 110u);
      const auto roomy = Load();
      EXPECT_EQ(answer->generation.tokens, Alone(*roomy, requests[i]).tokens);
    }
    EXPECT_GT(preemptions, 0);
    EXPECT_EQ(scheduler->Stats().preemptions, preemptions);
    EXPECT_EQ(scheduler->Stats().generated_tokens, 330);
  }
}

TEST_F(SchedulerMemoryTest, AHigherPriorityTakesTheMemoryOfALower) {
  const auto engine = Load({.kv_budget_bytes = 4 * kBlockBytes});
  const auto scheduler = Make(*engine);
  std::promise<void> started;
  const Request request = Greedy(SomeTokens(150), 60);
  Submission low{.request = request, .priority = 1};
  low.request.on_token = [&, told = false](const TokenEvent&) mutable {
    if (!std::exchange(told, true)) started.set_value();
    std::this_thread::sleep_for(1ms);
    return true;
  };
  auto slow = Start(*scheduler, low);
  started.get_future().wait();
  const auto urgent = scheduler->Run({.request = Greedy(SomeTokens(150, 1), 3), .priority = 2});
  EXPECT_EQ(urgent->preemptions, 0);
  EXPECT_EQ(scheduler->Stats().waiting + scheduler->Stats().running, 1);  // the other is not done yet
  const auto preempted = slow.get();
  EXPECT_EQ(preempted->preemptions, 1);
  EXPECT_EQ(preempted->generation.tokens, Alone(*Load(), request).tokens);
}

TEST_F(SchedulerMemoryTest, AnAnswerThatFillsTheBudgetEnds) {
  for (const bool windowed : {false, true}) {
    const auto engine = Load({.kv_budget_bytes = windowed ? 128 * 1024U : 3 * kBlockBytes}, windowed);
    const auto scheduler = Make(*engine);
    const auto completion = scheduler->Run({.request = Greedy(SomeTokens(30), 900)});
    ASSERT_TRUE(completion.has_value()) << completion.error().message;
    EXPECT_EQ(completion->generation.reason, FinishReason::kLength);
    EXPECT_LT(completion->generation.tokens.size(), 900u);
    if (!windowed) {
      EXPECT_EQ(completion->generation.tokens.size(), 3 * 64u - 30 + 1);
    }
    EXPECT_TRUE(scheduler->Run({.request = Greedy(SomeTokens(30, 3), 2)}).has_value());
  }
}

TEST_F(SchedulerMemoryTest, CachedBlocksGiveWayToRequests) {
  const auto engine = Load({.kv_budget_bytes = 6 * kBlockBytes});
  const auto scheduler = Make(*engine);
  for (int i = 0; i < 4; ++i) {
    const auto completion = scheduler->Run({.request = Greedy(SomeTokens(300, i), 5)});
    ASSERT_TRUE(completion.has_value());
    EXPECT_EQ(completion->preemptions, 0);
  }
  EXPECT_GT(scheduler->Stats().evicted_blocks, 0);
  EXPECT_EQ(scheduler->Run({.request = Greedy(SomeTokens(300, 3), 5)})->generation.cached_tokens, 256);
}

// A cache and how hard it is pressed: prompts that are long enough for it to encode and forget.
struct LoadCase {
  const char* name;
  const char* kv;
  int prompt;     // tokens at most
  int context;    // of the engine
  size_t blocks;  // of f16 that fit its memory, and more with other seeds
  int requests;   // of each of three clients
  uint32_t seeds;
};

constexpr LoadCase kLoads[] = {
    {"f16", "f16", 150, 256, 4, 12, 8},
    {"q8", "q8", 150, 256, 3, 8, 4},
    {"ch4", "ch4,recent=64", 500, 768, 14, 6, 4},
    {"h2o", "f16,evict=h2o,budget=200", 500, 768, 14, 6, 4},
    {"streaming", "q8,evict=streaming,budget=200", 500, 512, 14, 6, 2},
    {"ch4snapkv", "ch4,recent=64,evict=snapkv,budget=200", 500, 768, 14, 6, 4},
};

// Random requests over few texts, under budgets of a few blocks, cancelled at random from several threads.
void RunRandomLoad(Engine& engine, const LoadCase& load, const SchedulerOptions& options, uint32_t seed) {
  // A page that is to be encoded stays open where memory is short, and a shared one may be encoded early, so with
  // codecs a text depends a little on who else was there.
  const bool same_texts = !engine.options().kv.compact();
  std::mutex mutex;
  std::map<std::vector<int32_t>, std::vector<int32_t>> texts;  // the longest answer to each prompt
  std::atomic<int> accepted = 0;
  std::atomic<int> ended = 0;
  auto scheduler = std::move(Scheduler::Create(engine, options)).value();
  const auto client = [&](uint32_t who) {
    std::mt19937 random(seed * 7 + who);
    const auto draw = [&](int below) { return static_cast<int>(random() % static_cast<uint32_t>(below)); };
    std::vector<RequestId> mine;
    for (int i = 0; i < load.requests; ++i) {
      Submission submission{.request = Greedy(SomeTokens(1 + draw(load.prompt)), 1 + draw(80)),
                            .tenant = draw(2) == 0 ? "a" : "b",
                            .priority = draw(3),
                            .timeout = std::chrono::milliseconds(draw(10) == 0 ? 2 : 0)};
      const int fork = draw(100);
      for (size_t k = static_cast<size_t>(fork); k < submission.request.prompt.size(); k += 7) {
        submission.request.prompt[k] = 3 + draw(2);
      }
      submission.on_done = [&, prompt = submission.request.prompt,
                            called = false](const Result<Completion>& completion) mutable {
        ASSERT_FALSE(std::exchange(called, true));
        ++ended;
        ASSERT_TRUE(completion.has_value()) << completion.error().message;
        if (!same_texts) return;
        const std::lock_guard lock(mutex);
        const std::vector<int32_t>& tokens = completion->generation.tokens;
        std::vector<int32_t>& longest = texts[prompt];
        const size_t common = std::min(tokens.size(), longest.size());
        EXPECT_TRUE(std::equal(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(common), longest.begin()));
        if (tokens.size() > longest.size()) longest = tokens;
      };
      const auto id = scheduler->Submit(std::move(submission));
      if (!id) {
        ASSERT_EQ(id.error().code, ErrorCode::kResourceExhausted);
        std::this_thread::sleep_for(1ms);
        continue;
      }
      ++accepted;
      mine.push_back(*id);
      if (draw(3) == 0) scheduler->Cancel(mine[static_cast<size_t>(draw(static_cast<int>(mine.size())))]);
      if (draw(4) == 0) (void)scheduler->Stats();
      if (draw(2) == 0) std::this_thread::sleep_for(std::chrono::microseconds(draw(3000)));
    }
  };
  std::vector<std::thread> clients;
  for (uint32_t who = 0; who < 3; ++who) clients.emplace_back(client, who);
  for (std::thread& thread : clients) thread.join();
  ASSERT_TRUE(scheduler->Drain(120s));
  const SchedulerStats stats = scheduler->Stats();
  EXPECT_EQ(stats.accepted, accepted);
  EXPECT_EQ(stats.completed + stats.cancelled, accepted);
  EXPECT_EQ(stats.running + stats.waiting, 0);
  EXPECT_EQ(stats.kv_bytes, stats.kv_cached_bytes);  // only the index still holds pages
  EXPECT_EQ(ended, accepted);
  scheduler.reset();
  EXPECT_EQ(engine.memory().kv_bytes, 0u);
  // A sample of the answers against a session alone.
  int checked = 0;
  for (const auto& [prompt, tokens] : texts) {
    if (tokens.empty() || ++checked > 6) continue;
    Request request = Greedy(prompt, static_cast<int>(tokens.size()));
    EXPECT_EQ(std::move((*engine.NewSession())->Generate(request)).value().tokens, tokens);
  }
}

class RandomLoadTest : public SchedulerTest, public testing::WithParamInterface<LoadCase> {};
INSTANTIATE_TEST_SUITE_P(Caches, RandomLoadTest, testing::ValuesIn(kLoads),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(RandomLoadTest, LosesNoRequestAndNoPage) {
  const LoadCase& load = GetParam();
  for (uint32_t seed = 0; seed < load.seeds; ++seed) {
    SCOPED_TRACE(seed);
    const bool windowed = seed % 2 == 1;
    const size_t block = windowed ? kBlockBytes * 7 / 2 : kBlockBytes;
    const auto engine = Load({.kv = ParseKvSpec(load.kv).value(),
                              .context_tokens = load.context,
                              .kv_budget_bytes = (load.blocks + seed) * block},
                             windowed);
    RunRandomLoad(*engine, load,
                  {.max_running = 2 + static_cast<int>(seed),
                   .max_waiting = 20,
                   .itl_target_ms = seed % 3 == 0 ? 0.0 : 1.0,
                   .prefix_cache = seed % 4 != 3},
                  seed);
  }
}

}  // namespace
}  // namespace kvasir
