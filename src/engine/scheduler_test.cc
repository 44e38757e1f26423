#include "kvasir/scheduler.h"

#include <gmock/gmock.h>

#include <random>
#include <thread>

#include "engine/scheduler_testing.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

// Holds the scheduler's thread in a callback until it is opened, so that a test can say what waits meanwhile.
class Gate {
 public:
  std::function<bool(const TokenEvent&)> callback() {
    return [this](const TokenEvent&) {
      if (!std::exchange(seen_, true)) {
        reached_.set_value();
        opened_.get_future().wait();
      }
      return true;
    };
  }
  void WaitUntilReached() { reached_.get_future().wait(); }
  void Open() { opened_.set_value(); }

 private:
  std::promise<void> reached_;
  std::promise<void> opened_;
  bool seen_ = false;
};

// A request that runs first and stays at its gate.
Submission Blocker(Gate& gate, int max_tokens = 2) {
  Submission submission{.request = Greedy(SomeTokens(5, 99), max_tokens), .tenant = "blocker"};
  submission.request.on_token = gate.callback();
  return submission;
}

// Prompts of one token to several chunks, greedy and with seeds, submitted at once and while others run.
TEST_F(SchedulerTest, EachRequestGetsWhatASessionAloneWouldGiveIt) {
  for (const int threads : {1, 2, 3}) {
    const auto engine = Load({.threads = threads}, threads != 3);
    const auto scheduler = Make(*engine, {.itl_target_ms = threads == 1 ? 0.0 : 2.0});
    std::mt19937 random(static_cast<unsigned>(threads));
    std::vector<Request> requests;
    for (int i = 0; i < 24; ++i) {
      const int length = 1 + static_cast<int>(random() % (i % 3 == 0 ? 700 : 90));
      Request request = Greedy(SomeTokens(length, i % 4), 1 + static_cast<int>(random() % 40));
      request.sampling.temperature = i % 2 == 0 ? 0.0F : 1.0F;
      request.sampling.seed = random();
      requests.push_back(request);
    }
    std::vector<FutureCompletion> answers;
    for (const Request& request : requests) answers.push_back(Start(*scheduler, {.request = request}));
    for (size_t i = 0; i < requests.size(); ++i) {
      const auto answer = answers[i].get();
      ASSERT_TRUE(answer.has_value()) << answer.error().message;
      const Generation alone = Alone(*engine, requests[i]);
      EXPECT_EQ(answer->generation.tokens, alone.tokens) << "request " << i << ", " << threads << " threads";
      EXPECT_EQ(answer->generation.text, alone.text);
      EXPECT_EQ(answer->generation.reason, alone.reason);
    }
    EXPECT_GT(scheduler->Stats().cached_tokens, 0);  // some of them shared a beginning
  }
}

TEST_F(SchedulerTest, CallbacksTellWhatTheCompletionHolds) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  std::string streamed;
  std::vector<int32_t> tokens;
  int prompt_done = 0;
  Request request = Greedy(SomeTokens(600), 30);
  request.on_token = [&](const TokenEvent& event) {
    streamed += event.text;
    if (event.token >= 0) tokens.push_back(event.token);
    return true;
  };
  request.on_prompt = [&](int done, int total) {
    EXPECT_GT(done, prompt_done);
    EXPECT_EQ(total, 600);
    prompt_done = done;
    return true;
  };
  const auto completion = scheduler->Run({.request = request});
  ASSERT_TRUE(completion.has_value());
  EXPECT_EQ(completion->generation.text, streamed);
  EXPECT_EQ(completion->generation.tokens, tokens);
  EXPECT_EQ(prompt_done, 600);
  EXPECT_EQ(completion->generation.prompt_tokens, 600);
}

TEST_F(SchedulerTest, StopStringsStopTokensAndLimitsEndARequest) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  const Request request = Greedy(SomeTokens(20), 30);
  const Generation whole = Alone(*engine, request);
  Request stops = request;
  stops.stop = {whole.text.substr(5, 3)};
  const auto by_text = scheduler->Run({.request = stops});
  EXPECT_EQ(by_text->generation.reason, FinishReason::kStop);
  EXPECT_EQ(by_text->generation.text, whole.text.substr(0, whole.text.find(stops.stop[0])));
  EXPECT_EQ(by_text->generation.stop_match, stops.stop[0]);

  Request tokens = request;
  tokens.stop_tokens = {whole.tokens[7]};
  const auto by_token = scheduler->Run({.request = tokens});
  EXPECT_EQ(by_token->generation.reason, FinishReason::kStop);
  const auto first = std::ranges::find(whole.tokens, whole.tokens[7]);
  EXPECT_EQ(by_token->generation.tokens, std::vector<int32_t>(whole.tokens.begin(), first));

  Request none = request;
  none.max_tokens = 0;
  const auto nothing = scheduler->Run({.request = none});
  EXPECT_EQ(nothing->generation.reason, FinishReason::kLength);
  EXPECT_TRUE(nothing->generation.tokens.empty());
}

TEST_F(SchedulerTest, AFullContextEndsARequest) {
  const auto engine = Load({.context_tokens = 512});
  const auto scheduler = Make(*engine);
  const auto completion = scheduler->Run({.request = Greedy(SomeTokens(500), 400)});
  EXPECT_EQ(completion->generation.reason, FinishReason::kLength);
  EXPECT_EQ(completion->generation.tokens.size(), 13u);  // 12 more fit, and the one after them is known
}

TEST_F(SchedulerTest, RefusesWhatCannotBeNamingTheNumbers) {
  const auto engine = Load({.context_tokens = 512, .kv_budget_bytes = 4 * kBlockBytes});
  const auto scheduler = Make(*engine, {.max_waiting = 1});
  const auto error = [&](Submission submission) { return scheduler->Submit(std::move(submission)).error(); };
  EXPECT_THAT(error({}).message, HasSubstr("no tokens"));
  const Error too_long = error({.request = Greedy(SomeTokens(600), 1)});
  EXPECT_EQ(too_long.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(too_long.message, HasSubstr("600"));
  EXPECT_THAT(too_long.message, HasSubstr("512"));
  const Error too_big = error({.request = Greedy(SomeTokens(300), 1)});
  EXPECT_EQ(too_big.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(too_big.message, HasSubstr(std::to_string(5 * kBlockBytes)));
  EXPECT_THAT(too_big.message, HasSubstr(std::to_string(4 * kBlockBytes)));
  Submission shifting{.request = Greedy(SomeTokens(3), 1)};
  shifting.request.context_full = ContextFull::kShift;
  EXPECT_EQ(error(shifting).code, ErrorCode::kUnsupported);
  EXPECT_THAT(error({.request = Greedy(SomeTokens(3), 1), .timeout = -1ms}).message, HasSubstr("timeout"));

  Gate gate;
  auto blocker = Start(*scheduler, Blocker(gate));
  gate.WaitUntilReached();
  auto waiting = Start(*scheduler, {.request = Greedy(SomeTokens(3), 1)});
  const Error full = error({.request = Greedy(SomeTokens(3), 1)});
  EXPECT_EQ(full.code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(scheduler->Stats().refused, 1);
  gate.Open();
  EXPECT_TRUE(waiting.get().has_value());
  EXPECT_TRUE(blocker.get().has_value());
}

TEST_F(SchedulerTest, ATenantThatFloodsTheQueueLeavesPlacesForOthers) {
  const auto engine = Load();
  const auto scheduler = Make(*engine, {.max_running = 1, .max_waiting = 8});
  Gate gate;
  auto blocker = Start(*scheduler, Blocker(gate));
  gate.WaitUntilReached();
  const auto submit = [&](const char* tenant) {
    return scheduler->Submit({.request = Greedy(SomeTokens(3), 1), .tenant = tenant});
  };
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(submit("greedy").has_value());
  const auto refused = submit("greedy");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(refused.error().message, HasSubstr("6 requests of this tenant wait"));
  EXPECT_TRUE(submit("modest").has_value());
  EXPECT_FALSE(submit("modest").has_value()) << "the last place is for a tenant that has none";
  EXPECT_TRUE(submit("late").has_value());
  EXPECT_THAT(submit("later").error().message, HasSubstr("8 requests wait"));
  EXPECT_EQ(scheduler->Stats().refused, 3);
  gate.Open();
  EXPECT_TRUE(scheduler->Drain(60s));
}

TEST_F(SchedulerTest, OptionsOutOfRangeAreRefused) {
  const auto engine = Load();
  EXPECT_THAT(Scheduler::Create(*engine, {.max_running = 0}).error().message, HasSubstr("max_running"));
  EXPECT_THAT(Scheduler::Create(*engine, {.max_running = 513}).error().message, HasSubstr("513"));
  EXPECT_THAT(Scheduler::Create(*engine, {.max_waiting = 0}).error().message, HasSubstr("max_waiting"));
  EXPECT_THAT(Scheduler::Create(*engine, {.itl_target_ms = -1}).error().message, HasSubstr("itl_target_ms"));
}

TEST_F(SchedulerTest, CancelsInTheQueueInThePromptAndWhileGenerating) {
  const auto engine = Load();
  const auto scheduler = Make(*engine, {.max_running = 1, .prefix_cache = false});
  Gate gate;
  RequestId first_id = 0;
  RequestId second_id = 0;
  auto first = Start(*scheduler, Blocker(gate, 1000), &first_id);
  gate.WaitUntilReached();
  auto second = Start(*scheduler, {.request = Greedy(SomeTokens(10), 5)}, &second_id);
  EXPECT_TRUE(scheduler->Cancel(second_id));
  EXPECT_TRUE(scheduler->Cancel(first_id));
  gate.Open();
  const auto queued = second.get();
  EXPECT_EQ(queued->generation.reason, FinishReason::kCancelled);
  EXPECT_TRUE(queued->generation.tokens.empty());
  const auto generating = first.get();
  EXPECT_EQ(generating->generation.reason, FinishReason::kCancelled);
  EXPECT_EQ(generating->generation.tokens.size(), 1u);
  EXPECT_FALSE(scheduler->Cancel(first_id));
  EXPECT_FALSE(scheduler->Cancel(12345));

  // From within the prompt, and by the request's own flag.
  std::atomic<bool> flag = false;
  Request long_prompt = Greedy(SomeTokens(900), 5);
  long_prompt.cancel = &flag;
  int pieces = 0;
  long_prompt.on_prompt = [&](int, int) {
    ++pieces;
    flag = true;
    return true;
  };
  const auto in_prompt = scheduler->Run({.request = long_prompt});
  EXPECT_EQ(in_prompt->generation.reason, FinishReason::kCancelled);
  EXPECT_EQ(pieces, 1);
  EXPECT_EQ(scheduler->Stats().cancelled, 3);
  EXPECT_EQ(engine->memory().kv_bytes, 0u);
}

TEST_F(SchedulerTest, ACallbackThatReturnsFalseCancels) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  Request request = Greedy(SomeTokens(20), 30);
  int seen = 0;
  request.on_token = [&](const TokenEvent&) { return ++seen < 3; };
  const auto completion = scheduler->Run({.request = request});
  EXPECT_EQ(completion->generation.reason, FinishReason::kCancelled);
  EXPECT_EQ(completion->generation.tokens.size(), 3u);
}

TEST_F(SchedulerTest, DeadlinesEndRequestsWithWhatTheyHave) {
  const auto engine = Load();
  const auto scheduler = Make(*engine, {.max_running = 1});
  Gate gate;
  auto blocker = Start(*scheduler, Blocker(gate));
  gate.WaitUntilReached();
  auto late = Start(*scheduler, {.request = Greedy(SomeTokens(10), 5), .timeout = 1ms});
  std::this_thread::sleep_for(5ms);
  gate.Open();
  const auto queued = late.get();
  EXPECT_EQ(queued->generation.reason, FinishReason::kDeadline);
  EXPECT_TRUE(queued->generation.tokens.empty());
  EXPECT_TRUE(blocker.get().has_value());

  Submission slow{.request = Greedy(SomeTokens(10), 900), .timeout = 30ms};
  slow.request.on_token = [](const TokenEvent&) {
    std::this_thread::sleep_for(1ms);
    return true;
  };
  const auto generating = scheduler->Run(slow);
  EXPECT_EQ(generating->generation.reason, FinishReason::kDeadline);
  EXPECT_LT(generating->generation.tokens.size(), 900u);
}

TEST_F(SchedulerTest, TenantsTakeTurnsAndPrioritiesGoFirst) {
  const auto engine = Load();
  const auto scheduler = Make(*engine, {.max_running = 1});
  Gate gate;
  auto blocker = Start(*scheduler, Blocker(gate));
  gate.WaitUntilReached();
  std::string order;  // written by the scheduler's thread
  const auto submit = [&](const char* tenant, int priority, int salt) {
    Submission submission{.request = Greedy(SomeTokens(20, salt), 3), .tenant = tenant, .priority = priority};
    submission.on_done = [&order, tenant](const Result<Completion>&) { order += tenant; };
    EXPECT_TRUE(scheduler->Submit(std::move(submission)).has_value());
  };
  for (int i = 0; i < 4; ++i) submit("a", 0, i);
  for (int i = 0; i < 2; ++i) submit("b", 0, 10 + i);
  submit("c", 1, 20);
  gate.Open();
  ASSERT_TRUE(scheduler->Drain(60s));
  EXPECT_EQ(order, "cababaa");
}

TEST_F(SchedulerTest, LogprobsAreTheModelsOwnAndBatchingDoesNotChangeThem) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  Request request = Greedy(SomeTokens(150), 6);
  request.logprobs = true;
  request.prompt_logprobs = true;
  request.sampling.n_probs = 3;
  std::vector<FutureCompletion> others;
  for (int i = 0; i < 4; ++i) others.push_back(Start(*scheduler, {.request = Greedy(SomeTokens(80, i), 20)}));
  ASSERT_TRUE(scheduler->Run({.request = Greedy(SomeTokens(150), 1)}).has_value());  // a prompt the cache now holds
  const auto completion = scheduler->Run({.request = request});
  ASSERT_TRUE(completion.has_value());
  EXPECT_EQ(completion->cache.matched_tokens, 0);
  EXPECT_EQ(completion->cache.reason, CacheMiss::kPromptLogprobs);
  const Generation& generation = completion->generation;
  ASSERT_EQ(generation.prompt_scores.size(), 149u);
  ASSERT_EQ(generation.scores.size(), 6u);

  std::vector<int32_t> all = request.prompt;
  all.insert(all.end(), generation.tokens.begin(), generation.tokens.end());
  const auto check = [&](int i, std::span<const float> logits) {
    if (static_cast<size_t>(i) + 1 == all.size()) return;
    const auto place = static_cast<size_t>(i);
    const TokenScores& scores = place < 149 ? generation.prompt_scores[place] : generation.scores[place - 149];
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
    const int32_t token = all[place + 1];
    ASSERT_EQ(scores.chosen.token, token);
    ASSERT_NEAR(scores.chosen.logprob, static_cast<double>(logits[static_cast<size_t>(token)]) - std::log(sum), 1e-9);
    ASSERT_EQ(scores.rank,
              std::ranges::count_if(logits, [&](float l) { return l > logits[static_cast<size_t>(token)]; }));
    ASSERT_EQ(scores.top.size(), 3u);
    ASSERT_GE(scores.top[0].logprob, scores.top[1].logprob);
    if (scores.rank == 0) {
      ASSERT_EQ(scores.top[0].logprob, scores.chosen.logprob);  // the same bits
    }
  };
  ASSERT_TRUE((*engine->NewSession())->Evaluate(all, 0, 0, check).has_value());
  for (FutureCompletion& other : others) EXPECT_TRUE(other.get().has_value());
}

// Allows one token per step: 10, 11, 12, ...
class Counting final : public TokenConstraint {
 public:
  Result<std::span<const uint32_t>> Mask() override {
    if (next_ == 15) return Fail(ErrorCode::kUnsupported, "cannot count to 15");
    mask_.assign((model::TinyModel::kVocabulary + 31) / 32, 0);
    mask_[static_cast<size_t>(next_) / 32] = 1U << (next_ % 32);
    return std::span<const uint32_t>(mask_);
  }
  void Accept(int32_t token) override {
    EXPECT_EQ(token, next_);
    ++next_;
  }

 private:
  int next_ = 10;
  std::vector<uint32_t> mask_;
};

TEST_F(SchedulerTest, ConstraintsSayWhichTokensMayCome) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  Request request = Greedy(SomeTokens(20), 5);
  request.constraint = std::make_shared<Counting>();
  const auto counted = scheduler->Run({.request = request});
  ASSERT_TRUE(counted.has_value()) << counted.error().message;
  EXPECT_EQ(counted->generation.tokens, (std::vector<int32_t>{10, 11, 12, 13, 14}));
  request.constraint = std::make_shared<Counting>();
  request.max_tokens = 6;
  const auto failed = scheduler->Run({.request = request});
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().message, "cannot count to 15");
  EXPECT_EQ(scheduler->Stats().failed, 1);
}

TEST_F(SchedulerTest, CallbacksMaySubmitAndCancel) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  std::promise<int> chain;
  std::function<void(int)> submit = [&](int left) {
    Submission submission{.request = Greedy(SomeTokens(10, left), 2)};
    submission.on_done = [&, left](const Result<Completion>&) {
      left == 0 ? chain.set_value(scheduler->Stats().running) : submit(left - 1);
    };
    ASSERT_TRUE(scheduler->Submit(std::move(submission)).has_value());
  };
  submit(5);
  EXPECT_EQ(chain.get_future().get(), 0);
  RequestId id = 0;
  Submission self{.request = Greedy(SomeTokens(10), 100)};
  self.request.on_token = [&](const TokenEvent&) { return scheduler->Cancel(scheduler->Stats().requests.at(0).id); };
  EXPECT_EQ(Start(*scheduler, self, &id).get()->generation.reason, FinishReason::kCancelled);
}

TEST_F(SchedulerTest, DrainsAndStops) {
  const auto engine = Load();
  auto scheduler = Make(*engine);
  auto last = Start(*scheduler, {.request = Greedy(SomeTokens(30), 20)});
  EXPECT_TRUE(scheduler->Drain(60s));
  EXPECT_EQ(last.get()->generation.tokens.size(), 20u);
  EXPECT_EQ(scheduler->Submit({.request = Greedy(SomeTokens(3), 1)}).error().code, ErrorCode::kCancelled);

  scheduler = Make(*engine, {.max_running = 2});
  std::vector<FutureCompletion> answers;
  for (int i = 0; i < 6; ++i) answers.push_back(Start(*scheduler, {.request = Greedy(SomeTokens(30, i), 900)}));
  EXPECT_FALSE(scheduler->Drain(1ms));
  scheduler->Stop();
  for (FutureCompletion& answer : answers) EXPECT_EQ(answer.get()->generation.reason, FinishReason::kCancelled);
  scheduler.reset();
  EXPECT_EQ(engine->memory().kv_bytes, 0u);
}

TEST_F(SchedulerTest, StatsShowEachRequest) {
  const auto engine = Load();
  const auto scheduler = Make(*engine, {.max_running = 1});
  Gate gate;
  auto running = Start(*scheduler, Blocker(gate));
  gate.WaitUntilReached();
  auto waiting = Start(*scheduler, {.request = Greedy(SomeTokens(10), 5), .tenant = "t", .priority = -2, .label = "l"});
  const SchedulerStats stats = scheduler->Stats();
  EXPECT_EQ(stats.running, 1);
  EXPECT_EQ(stats.waiting, 1);
  EXPECT_EQ(stats.accepted, 2);
  ASSERT_EQ(stats.requests.size(), 2u);
  EXPECT_EQ(stats.requests[0].prompt_tokens, 5);
  EXPECT_EQ(stats.requests[1].phase, RequestPhase::kWaiting);
  EXPECT_EQ(stats.requests[1].label, "l");
  EXPECT_EQ(stats.requests[1].tenant, "t");
  EXPECT_EQ(stats.requests[1].priority, -2);
  EXPECT_EQ(stats.kv_budget_bytes, 64u << 20);
  EXPECT_EQ(stats.kv_bytes, kBlockBytes);
  gate.Open();
  EXPECT_TRUE(running.get().has_value());
  EXPECT_TRUE(waiting.get().has_value());
  const SchedulerStats after = scheduler->Stats();
  EXPECT_EQ(after.completed, 2);
  EXPECT_EQ(after.prompt_tokens, 15);
  EXPECT_EQ(after.generated_tokens, 7);
  EXPECT_TRUE(after.requests.empty());
}

// While a request runs, what it shares and what is its own; afterwards, what is kept.
TEST_F(SchedulerTest, CacheShowsWhoReadsWhat) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  EXPECT_TRUE(scheduler->Cache(10).segments.empty());
  std::vector<int32_t> prompt = SomeTokens(200);
  Start(*scheduler, {.request = Greedy(prompt, 1)}).get().value();
  CacheMap map = scheduler->Cache(10);
  ASSERT_EQ(map.segments.size(), 1U);
  EXPECT_EQ(map.segments[0].tokens, 192);
  EXPECT_EQ(map.segments[0].bytes, 3 * kBlockBytes);
  EXPECT_TRUE(map.segments[0].requests.empty());

  Gate gate;
  prompt.resize(128);
  for (int i = 0; i < 100; ++i) prompt.push_back(7 + i % 5);
  Submission submission{.request = Greedy(prompt, 3)};
  // The first token is chosen before its step is over and shown.
  submission.request.on_token = [stop = gate.callback(), calls = 0](const TokenEvent& event) mutable {
    return ++calls == 1 || stop(event);
  };
  RequestId id = 0;
  FutureCompletion answer = Start(*scheduler, std::move(submission), &id);
  gate.WaitUntilReached();
  map = scheduler->Cache(10);
  const size_t kept = map.segments.size();
  gate.Open();
  EXPECT_TRUE(answer.get().has_value());
  ASSERT_EQ(kept, 3U) << "two shared blocks, one of its own, one that the first request left";
  EXPECT_EQ(map.segments[0].tokens, 128);
  EXPECT_THAT(map.segments[0].requests, ::testing::ElementsAre(id));
  EXPECT_EQ(map.segments[1].parent, map.segments[0].id);
  EXPECT_EQ(map.segments[1].tokens, 64);
  EXPECT_THAT(map.segments[1].requests, ::testing::ElementsAre(id));
  EXPECT_TRUE(map.segments[2].requests.empty());
  ASSERT_EQ(map.requests.size(), 1U);
  EXPECT_EQ(map.requests[0].id, id);
  EXPECT_EQ(map.requests[0].segment, map.segments[1].id);
  EXPECT_EQ(scheduler->Cache(1).left_out_segments, 2);
}

}  // namespace
}  // namespace kvasir
