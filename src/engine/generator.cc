#include "engine/generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/seconds_since.h"
#include "engine/tokenizer_impl.h"
#include "sampling/logprobs.h"

namespace kvasir {
namespace {

Result<TokenScores> ScoresOf(std::span<const float> logits, int32_t token, int32_t count) {
  KV_ASSIGN(const sampling::RowLogprobs row, sampling::ComputeLogprobs(logits, token, count));
  TokenScores scores{.chosen = {row.chosen.id, row.chosen.logprob}, .rank = row.rank, .top = {}};
  for (const sampling::TokenLogprob& each : row.top) scores.top.push_back({each.id, each.logprob});
  return scores;
}

Status CheckPrompt(const Engine::Impl& engine, const KvSpec& kv, std::span<const int32_t> prompt) {
  if (prompt.empty()) return Fail(ErrorCode::kInvalidArgument, "the prompt has no tokens");
  KV_TRY(CheckTokens(engine, prompt));
  const int context = engine.options.context_tokens;
  if (kv.endless() || prompt.size() <= static_cast<size_t>(context)) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("the prompt has {} tokens, but the context holds {}; shorten the prompt or load the model "
                          "with a larger context",
                          prompt.size(), context));
}

}  // namespace

Status CheckTokens(const Engine::Impl& engine, std::span<const int32_t> tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= engine.info.vocabulary) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("token {} of the prompt is {}; the vocabulary has ids 0 to {}", i, tokens[i],
                              engine.info.vocabulary - 1));
    }
  }
  return {};
}

Result<Generator> Generator::Create(const Engine::Impl& engine, const KvSpec& kv, Request request) {
  KV_TRY(CheckPrompt(engine, kv, request.prompt));
  const text::Tokenizer& tokenizer = engine.tokenizer->impl().tokenizer();
  KV_ASSIGN(sampling::Sampler sampler,
            sampling::Sampler::Create(request.sampling, engine.info.vocabulary,
                                      [&tokenizer](int32_t id) { return tokenizer.Piece(id); }));
  for (const int32_t token : request.prompt) sampler.Accept(token);
  return Generator(engine, std::move(request), std::move(sampler));
}

Generator::Generator(const Engine::Impl& engine, Request request, sampling::Sampler sampler)
    : engine_(&engine),
      request_(std::move(request)),
      sampler_(std::move(sampler)),
      decoder_(engine.tokenizer->impl().tokenizer(), {.skip_special = true, .strip_space_prefix = false}),
      stops_(request_.stop),
      tokens_(request_.prompt) {
  result_.prompt_tokens = static_cast<int>(request_.prompt.size());
  result_.seed = sampler_.seed();
  result_.sampling = sampler_.DescribeChain();
}

int Generator::reusable() const {
  const size_t last = tokens_.size() - 1;
  return static_cast<int>(request_.prompt_logprobs ? std::min(result_.prompt_scores.size(), last) : last);
}

int Generator::first_logits() const {
  const size_t scored = result_.prompt_scores.size();
  if (request_.prompt_logprobs && scored + 1 < request_.prompt.size()) return static_cast<int>(scored);
  const auto last = static_cast<int>(tokens_.size()) - 1;
  return request_.max_tokens == 0 ? last + 1 : last;
}

void Generator::Begin(int cached_tokens) {
  result_.cached_tokens = cached_tokens;
  begin_ = Clock::now();
}

void Generator::OnLogits(int index, std::span<const float> logits) {
  if (!found_status_) return;
  const auto next = static_cast<size_t>(index) + 1;
  if (next == tokens_.size()) {
    if (request_.max_tokens != 0) found_status_ = Choose(logits);
    return;
  }
  auto scores = ScoresOf(logits, tokens_[next], request_.sampling.n_probs);
  if (scores) {
    found_prompt_scores_.push_back(std::move(*scores));
  } else {
    found_status_ = std::unexpected(scores.error());
  }
}

Status Generator::Choose(std::span<const float> logits) {
  std::span<const uint32_t> allowed;
  if (request_.constraint) {
    KV_ASSIGN(allowed, request_.constraint->Mask());
  }
  KV_ASSIGN(found_token_, sampler_.Sample(logits, allowed));
  if (request_.logprobs) {
    KV_ASSIGN(found_scores_, ScoresOf(logits, *found_token_, request_.sampling.n_probs));
  }
  return {};
}

void Generator::AbandonStep() {
  found_status_ = {};
  found_token_.reset();
  found_prompt_scores_.clear();
}

Result<std::optional<FinishReason>> Generator::FinishStep(int computed) {
  KV_TRY(found_status_);
  std::ranges::move(found_prompt_scores_, std::back_inserter(result_.prompt_scores));
  found_prompt_scores_.clear();
  const int done = std::min(computed, result_.prompt_tokens);
  if (done > prompt_done_) {
    prompt_done_ = done;
    if (request_.on_prompt && !request_.on_prompt(done, result_.prompt_tokens)) return FinishReason::kCancelled;
  }
  if (static_cast<size_t>(computed) < tokens_.size()) return std::nullopt;
  if (generated() == 0) {
    result_.prompt_seconds = base::SecondsSince(begin_);
    first_token_ = Clock::now();
  } else {
    result_.decode_seconds = base::SecondsSince(first_token_);
  }
  if (request_.max_tokens == 0) return FinishReason::kLength;
  return TakeChosen();
}

// The text that became complete with `token`.
std::string Generator::TextOf(int32_t token) {
  if (std::ranges::count(request_.shown_tokens, token) == 0) return decoder_.Push(token);
  const std::string before = decoder_.Flush();  // half a character stays half
  return before + engine_->tokenizer->Piece(token);
}

std::optional<FinishReason> Generator::TakeChosen() {
  const int32_t token = *std::exchange(found_token_, std::nullopt);
  sampler_.Accept(token);
  if (request_.constraint) request_.constraint->Accept(token);
  const bool ends = !request_.ignore_end_of_text && engine_->tokenizer->IsEndOfGeneration(token);
  if (ends || std::ranges::count(request_.stop_tokens, token) > 0) return FinishReason::kStop;
  tokens_.push_back(token);
  result_.tokens.push_back(token);
  const std::string ready = stops_.Push(TextOf(token));
  result_.text += ready;
  TokenEvent event{.token = token, .text = ready};
  if (request_.logprobs) {
    result_.scores.push_back(std::move(found_scores_));
    event.scores = &result_.scores.back();
  }
  if (request_.on_token && !request_.on_token(event)) return FinishReason::kCancelled;
  if (stops_.stopped()) return FinishReason::kStop;
  if (generated() == request_.max_tokens) return FinishReason::kLength;
  return std::nullopt;
}

Generation Generator::Finish(FinishReason reason, size_t kv_bytes) {
  if (reason != FinishReason::kCancelled && !stops_.stopped()) {
    const std::string rest = stops_.Push(decoder_.Flush()) + stops_.Flush();
    result_.text += rest;
    if (!rest.empty() && request_.on_token) request_.on_token({.token = -1, .text = rest});
  }
  result_.reason = reason;
  result_.stop_match = stops_.match();
  result_.kv_bytes = kv_bytes;
  return std::move(result_);
}

}  // namespace kvasir
