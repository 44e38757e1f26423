// One request on its way from prompt to text.
//
// A session and the scheduler run the same loop: extend the cache by the next tokens, compute a step, hand the logits
// to the generator, let it go on. The generator owns what belongs to the request (its tokens, sampler, stop strings,
// text and result) and nothing of the cache, so a cache that was dropped can be computed again in the middle of an
// answer: the generator only says which tokens are missing, and chooses a new one when none is.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/engine_impl.h"
#include "engine/stop_matcher.h"
#include "kvasir/engine.h"
#include "sampling/sampler.h"
#include "text/stream_decoder.h"

namespace kvasir {

class Generator {
 public:
  /// Checks the request, for a sequence whose cache is as `kv` says. Errors: as Session::Generate's, except those of
  /// memory.
  [[nodiscard]] static Result<Generator> Create(const Engine::Impl& engine, const KvSpec& kv, Request request);

  [[nodiscard]] const Request& request() const { return request_; }
  [[nodiscard]] std::span<const int32_t> prompt() const { return request_.prompt; }
  /// The prompt and what was generated: all that the cache has to hold for the next token. After a context shift it
  /// still counts the tokens that were dropped.
  [[nodiscard]] std::span<const int32_t> tokens() const { return tokens_; }
  [[nodiscard]] int generated() const { return static_cast<int>(result_.tokens.size()); }
  /// How many of tokens() may be taken from a cache without computing them: not the last, and with
  /// Request::prompt_logprobs none that is yet to be scored.
  [[nodiscard]] int reusable() const;
  /// Tokens whose logits have been used; those computed before and dropped are computed without.
  [[nodiscard]] int first_logits() const;

  /// Takes the logits [V] of tokens()[index], index >= first_logits(), ascending. Changes nothing that an abandoned
  /// step would have to undo.
  void OnLogits(int index, std::span<const float> logits);
  /// A step is complete, and the cache holds tokens()[0, computed). Takes over what OnLogits found and calls the
  /// request's callbacks. Returns the reason when the request has ended, none when it is to go on.
  [[nodiscard]] Result<std::optional<FinishReason>> FinishStep(int computed);
  /// The step was abandoned.
  void AbandonStep();

  /// Notes how much of the prompt came from a cache, when the request is first computed.
  void Begin(int cached_tokens);
  /// Ends the request and gives out the result; the generator is spent. Text that was held back is delivered first,
  /// unless a stop string was found or the request was cancelled.
  [[nodiscard]] Generation Finish(FinishReason reason, size_t kv_bytes);

 private:
  using Clock = std::chrono::steady_clock;

  Generator(const Engine::Impl& engine, Request request, sampling::Sampler sampler);
  [[nodiscard]] Status Choose(std::span<const float> logits);
  [[nodiscard]] std::string TextOf(int32_t token);
  [[nodiscard]] std::optional<FinishReason> TakeChosen();

  const Engine::Impl* engine_;
  Request request_;
  sampling::Sampler sampler_;
  text::StreamDecoder decoder_;
  StopMatcher stops_;
  std::vector<int32_t> tokens_;
  Generation result_;

  // Found by OnLogits in the step in progress.
  Status found_status_;
  std::optional<int32_t> found_token_;
  TokenScores found_scores_;
  std::vector<TokenScores> found_prompt_scores_;

  int prompt_done_ = 0;  // prompt tokens the caller was told of
  Clock::time_point begin_;
  Clock::time_point first_token_;
};

}  // namespace kvasir
