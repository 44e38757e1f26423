#include "kvasir/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <random>

#include "engine/engine_impl.h"
#include "model/tiny_model_test_support.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

std::vector<int32_t> SomeTokens(int count, int salt = 0) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) tokens[static_cast<size_t>(i)] = 3 + (i * 37 + i / 11 + salt * 17) % 256;
  return tokens;
}

Request Greedy(std::vector<int32_t> prompt, int max_tokens) {
  Request request{.prompt = std::move(prompt), .max_tokens = max_tokens, .ignore_end_of_text = true};
  request.sampling.temperature = 0;
  return request;
}

// Submits, and gives the completion as a future.
std::future<Result<Completion>> Start(Scheduler& scheduler, Submission submission, RequestId* id = nullptr) {
  auto promise = std::make_shared<std::promise<Result<Completion>>>();
  submission.on_done = [promise](Result<Completion> completion) { promise->set_value(std::move(completion)); };
  const auto submitted = scheduler.Submit(std::move(submission));
  if (!submitted) promise->set_value(std::unexpected(submitted.error()));
  if (submitted && id != nullptr) *id = *submitted;
  return promise->get_future();
}

class SchedulerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { path_ = model::TinyModel{}.Write("scheduler"); }
  static std::unique_ptr<Engine> Load(EngineOptions options = {}) {
    options.model = path_;
    if (options.threads == 0) options.threads = 2;
    if (options.kv_budget_bytes == 0) options.kv_budget_bytes = 64 << 20;
    auto engine = Engine::Load(options);
    KV_CHECK(engine.has_value());
    return std::move(engine).value();
  }
  static std::unique_ptr<Scheduler> Make(Engine& engine, const SchedulerOptions& options = {}) {
    return std::move(Scheduler::Create(engine, options)).value();
  }
  static std::string path_;
};
std::string SchedulerTest::path_;

// Prompts of one token to several chunks, greedy and with seeds, submitted at once and while others run.
TEST_F(SchedulerTest, EachRequestGetsWhatASessionAloneWouldGiveIt) {
  for (const int threads : {1, 2, 3}) {
    const auto engine = Load({.threads = threads});
    const auto scheduler = Make(*engine, {.itl_target_ms = threads == 1 ? 0.0 : 2.0});
    std::mt19937 random(static_cast<unsigned>(threads));
    std::vector<Request> requests;
    for (int i = 0; i < 24; ++i) {
      const int length = i % 3 == 0 ? 1 + static_cast<int>(random() % 700) : 1 + static_cast<int>(random() % 90);
      Request request = Greedy(SomeTokens(length, i), 1 + static_cast<int>(random() % 40));
      request.sampling.temperature = i % 2 == 0 ? 0.0F : 1.0F;
      request.sampling.seed = random();
      requests.push_back(request);
    }
    std::vector<std::future<Result<Completion>>> answers;
    for (const Request& request : requests) answers.push_back(Start(*scheduler, {.request = request}));
    for (size_t i = 0; i < requests.size(); ++i) {
      const auto answer = answers[i].get();
      ASSERT_TRUE(answer.has_value()) << answer.error().message;
      const auto alone = (*engine->NewSession())->Generate(requests[i]);
      EXPECT_EQ(answer->generation.tokens, alone->tokens) << "request " << i << ", " << threads << " threads";
      EXPECT_EQ(answer->generation.text, alone->text);
      EXPECT_EQ(answer->generation.reason, alone->reason);
    }
  }
}

}  // namespace
}  // namespace kvasir
