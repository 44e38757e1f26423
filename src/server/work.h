// A request's answers on their way from the scheduler's thread to a connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kvasir/scheduler.h"
#include "server/api_error.h"
#include "server/app.h"
#include "server/generation.h"
#include "server/routes.h"

namespace kvasir::server {

/// A prompt and how many answers to it are wanted follow from GenerationOptions; a batch has several.
struct PromptTokens {
  std::vector<int32_t> tokens;
};

/// What a choice has produced since it was last asked.
struct Produced {
  std::string text;                 ///< Whole code points.
  std::vector<TokenScores> scores;  ///< One per token where logprobs were asked for.
  int tokens = 0;
  bool finished = false;  ///< `end` is set, and nothing follows.
};

/// Token counts of all choices together.
struct Usage {
  int64_t prompt_tokens = 0;  ///< Each prompt once, however many answers it got.
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;  ///< Known when an answer has ended.
};

/// All answers of one request, on their way. The scheduler's thread fills it, a connection empties it. Thread-safe.
class Work : public std::enable_shared_from_this<Work> {
 public:
  /// Submits every choice of every prompt, or none: on an error nothing is left in the queue.
  [[nodiscard]] static ApiResult<std::shared_ptr<Work>> Submit(const Call& call, const GenerationOptions& options,
                                                               std::vector<PromptTokens> prompts);

  /// Choice i of prompt p has the number p * choices + i.
  [[nodiscard]] size_t size() const { return states_.size(); }
  /// `wake` is called after every change, on the scheduler's thread.
  void OnChange(std::function<void()> wake);
  /// What is new in one choice.
  [[nodiscard]] Produced Take(size_t choice);
  /// The end of a finished choice. The references stay valid.
  [[nodiscard]] const Result<Completion>& End(size_t choice) const;
  [[nodiscard]] bool AllFinished() const;
  [[nodiscard]] Usage TokenUsage() const;
  /// Where and why each prompt stopped matching the cache: the member "cache" of an answer. After AllFinished.
  [[nodiscard]] Json CacheJson() const;
  void Cancel();

 private:
  using Clock = std::chrono::steady_clock;
  struct State {
    RequestId id = 0;
    int64_t prompt_tokens = 0;
    Produced fresh;
    std::optional<Result<Completion>> end;
    Clock::time_point last_token{};
    int tokens = 0;
  };

  Work(const Model& model, Metrics& metrics, size_t choices_per_prompt, size_t size);
  Submission SubmissionFor(const Call& call, const GenerationOptions& options, const std::vector<int32_t>& prompt,
                           size_t number);
  void OnToken(size_t choice, const TokenEvent& event);
  void OnDone(size_t choice, Result<Completion> end);
  void Observe(const State& state) const;
  void ObserveRequest(const GenerationOptions& options) const;
  void ObserveLongest() const;

  const Model& model_;
  Metrics& metrics_;
  const size_t choices_per_prompt_;
  const Clock::time_point start_ = Clock::now();
  mutable std::mutex mutex_;
  std::vector<State> states_;
  size_t open_;
  std::function<void()> wake_;
};

/// "stop", "length", or how else `reason` is called in OpenAI's answers.
[[nodiscard]] const char* FinishName(FinishReason reason);

/// Renders `conversation` with the model's template, checks that it fits the context, and submits it as one prompt,
/// whose answers are held to what options.tools require. Notes in `options` what their readers have to know.
[[nodiscard]] ApiResult<std::shared_ptr<Work>> SubmitConversation(const Call& call, GenerationOptions& options,
                                                                  Json conversation);

}  // namespace kvasir::server
