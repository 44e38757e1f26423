// For tests of the scheduler: a tiny model, requests, and futures instead of callbacks.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kvasir/scheduler.h"
#include "model/tiny_model_test_support.h"

namespace kvasir {

/// Tokens of a text that differs from those of other salts from its first token on.
inline std::vector<int32_t> SomeTokens(int count, int salt = 0) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) tokens[static_cast<size_t>(i)] = 3 + (i * 37 + i / 11 + salt * 17) % 256;
  return tokens;
}

inline Request Greedy(std::vector<int32_t> prompt, int max_tokens) {
  Request request{.prompt = std::move(prompt), .max_tokens = max_tokens, .ignore_end_of_text = true};
  request.sampling.temperature = 0;
  return request;
}

using FutureCompletion = std::future<Result<Completion>>;

/// Submits, and gives the completion as a future.
inline FutureCompletion Start(Scheduler& scheduler, Submission submission, RequestId* id = nullptr) {
  auto promise = std::make_shared<std::promise<Result<Completion>>>();
  submission.on_done = [promise](Result<Completion> completion) { promise->set_value(std::move(completion)); };
  const auto submitted = scheduler.Submit(std::move(submission));
  if (!submitted) promise->set_value(std::unexpected(submitted.error()));
  if (submitted && id != nullptr) *id = *submitted;
  return promise->get_future();
}

/// An engine over a tiny model: with sliding windows of 16 tokens in five of six layers, or without.
class SchedulerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    windowed_path_ = model::TinyModel{}.Write("scheduler-windowed");
    plain_path_ = model::TinyModel{.layers = 2, .window = 0}.Write("scheduler-plain");
  }
  static std::unique_ptr<Engine> Load(EngineOptions options = {}, bool windowed = false) {
    options.model = windowed ? windowed_path_ : plain_path_;
    if (options.threads == 0) options.threads = 2;
    if (options.context_tokens == 0) options.context_tokens = 1024;
    if (options.kv_budget_bytes == 0) options.kv_budget_bytes = 64 << 20;
    auto engine = Engine::Load(options);
    if (!engine) ADD_FAILURE() << engine.error().message;
    return std::move(engine).value();
  }
  static std::unique_ptr<Scheduler> Make(Engine& engine, const SchedulerOptions& options = {}) {
    return std::move(Scheduler::Create(engine, options)).value();
  }
  static Generation Alone(Engine& engine, const Request& request) {
    auto generation = (*engine.NewSession())->Generate(request);
    KV_CHECK(generation.has_value());
    return std::move(*generation);
  }

  /// Bytes of a block of the model without windows: 2 layers, 2 heads, keys and values of 16 features in f16.
  static constexpr size_t kBlockBytes = 2 * 2 * 2 * 64 * 16 * 2;
  inline static std::string windowed_path_;
  inline static std::string plain_path_;
};

}  // namespace kvasir
