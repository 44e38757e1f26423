// A session: one token sequence, its cache, and the loop that extends it.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/check.h"
#include "engine/engine_impl.h"
#include "engine/stop_matcher.h"
#include "engine/tokenizer_impl.h"
#include "kvcache/kv_sequence.h"
#include "sampling/sampler.h"
#include "text/stream_decoder.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

struct Session::Impl {
  Impl(Engine::Impl& engine, kvcache::KvSequence sequence) : engine(engine), sequence(std::move(sequence)) {}

  Status CheckTokens(std::span<const int32_t> tokens) const;
  int ReusePrefix(std::span<const int32_t> prompt);
  Status Step(std::span<const int32_t> tokens, int first_logits, const std::atomic<bool>* cancel,
              const model::LogitSink& on_logits);
  Status Prefill(const Request& request, std::vector<float>& logits);
  Status MakeRoom(const Request& request, bool* full);

  Engine::Impl& engine;
  kvcache::KvSequence sequence;
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;
int Session::length() const {
  return impl_->sequence.length();
}
size_t Session::kv_bytes() const {
  return impl_->sequence.bytes();
}

void Session::Reset() {
  KV_CHECK(impl_->sequence.Truncate(0).has_value());
}

Result<std::unique_ptr<Session>> Engine::NewSession() {
  KV_ASSIGN(kvcache::KvSequence sequence,
            kvcache::KvSequence::Create(*impl_->pages, impl_->kv_shape, impl_->kv_options));
  return std::make_unique<Session>(std::make_unique<Session::Impl>(*impl_, std::move(sequence)));
}

Status Session::Impl::CheckTokens(std::span<const int32_t> tokens) const {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= engine.info.vocabulary) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("token {} of the prompt is {}; the vocabulary has ids 0 to {}", i, tokens[i],
                              engine.info.vocabulary - 1));
    }
  }
  return {};
}

// One forward pass over `tokens` behind what the cache holds. Calls `on_logits(i, ...)` for every i >= first_logits.
Status Session::Impl::Step(std::span<const int32_t> tokens, int first_logits, const std::atomic<bool>* cancel,
                           const model::LogitSink& on_logits) {
  const int32_t start = sequence.length();
  KV_TRY(sequence.Extend(tokens));
  std::vector<int32_t> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), start);
  std::vector<int32_t> logit_rows(tokens.size() - std::min(tokens.size(), static_cast<size_t>(first_logits)));
  std::iota(logit_rows.begin(), logit_rows.end(), first_logits);
  const kvcache::KvView view = sequence.View();
  const ops::SequenceRows rows{.kv = &view, .first_row = 0, .num_rows = static_cast<int>(tokens.size())};
  const ops::Batch batch{
      .tokens = tokens, .positions = positions, .sequences = {&rows, 1}, .logit_rows = logit_rows, .cancel = cancel};
  Status status;
  {
    const std::lock_guard lock(engine.step);
    status = engine.model->Forward(batch, on_logits);
  }
  if (!status) {
    KV_CHECK(sequence.Truncate(start).has_value());
    return status;
  }
  sequence.Commit();
  sequence.ReleaseOutsideWindow();
  return {};
}

// Rewinds the cache to the longest prefix of `prompt` it holds, at least one token short of it, and returns its length.
int Session::Impl::ReusePrefix(std::span<const int32_t> prompt) {
  const std::span<const int32_t> held = sequence.tokens();
  const auto [mine, theirs] = std::mismatch(held.begin(), held.end(), prompt.begin(), prompt.end());
  auto common = static_cast<int32_t>(mine - held.begin());
  common = std::min(common, static_cast<int32_t>(prompt.size()) - 1);
  // Layers with a sliding window may have released what a rewound sequence would have to see again.
  if (!sequence.CanTruncateTo(common)) common = 0;
  KV_CHECK(sequence.Truncate(common).has_value());
  return common;
}

Status Session::Impl::Prefill(const Request& request, std::vector<float>& logits) {
  const std::span<const int32_t> prompt = request.prompt;
  const auto total = static_cast<int>(prompt.size());
  while (sequence.length() < total) {
    const int begin = sequence.length();
    const int count = std::min(kMaxBatchRows, total - begin);
    const bool last = begin + count == total;
    KV_TRY(Step(prompt.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)), last ? count - 1 : count,
                request.cancel, [&](int, std::span<const float> row) { logits.assign(row.begin(), row.end()); }));
    if (request.on_prompt && !request.on_prompt(begin + count, total)) {
      return Fail(ErrorCode::kCancelled, "the request was cancelled");
    }
  }
  return {};
}

// Makes sure that one more token fits. `full` says that it does not and generation has to end.
Status Session::Impl::MakeRoom(const Request& request, bool* full) {
  *full = false;
  const int context = engine.options.context_tokens;
  if (sequence.length() < context) return {};
  if (request.context_full == ContextFull::kStop) {
    *full = true;
    return {};
  }
  const int sinks = std::max(request.sink_tokens, 0);
  const auto kept_sinks = static_cast<int>(kvcache::BlocksFor(sinks)) * kernels::kPageTokens;
  // Whole pages go; a context that is too small for that ends like one that must not shift.
  const int can_go = (context - kept_sinks - engine.kv_options.recent) / kernels::kPageTokens * kernels::kPageTokens;
  if (can_go <= 0) {
    *full = true;
    return {};
  }
  const int drop = std::clamp((context - sinks) / 2, 1, can_go);
  const auto rotate = [&](int layer, float* key, int32_t delta) {
    const model::ModelConfig& config = engine.model->config();
    ops::RopeSpec spec = config.ropes[static_cast<size_t>(config.rope_of_layer[static_cast<size_t>(layer)])];
    spec.magnitude = 1;  // the stored key already has it
    std::vector<float> cos(spec.frequencies.size());
    std::vector<float> sin(spec.frequencies.size());
    ops::RopeTables(spec, {&delta, 1}, cos.data(), sin.data());
    kernels::TableOf(kernels::ChosenIsa()).rope(key, cos.data(), sin.data(), spec.n_rot(), spec.neox);
  };
  KV_TRY(sequence.ShiftContext(sinks, drop, rotate));
  return {};
}

Status Session::Evaluate(std::span<const int32_t> tokens, int first_logits, int chunk,
                         const std::function<void(int, std::span<const float>)>& on_logits) {
  KV_TRY(impl_->CheckTokens(tokens));
  const auto total = static_cast<int>(tokens.size());
  const int step = chunk <= 0 ? kMaxBatchRows : std::min(chunk, kMaxBatchRows);
  if (length() + total > impl_->engine.options.context_tokens) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{} tokens behind {} do not fit the context of {} tokens",
                                                         total, length(), impl_->engine.options.context_tokens));
  }
  for (int begin = 0; begin < total; begin += step) {
    const int count = std::min(step, total - begin);
    const int first = std::clamp(first_logits - begin, 0, count);
    KV_TRY(impl_->Step(tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)), first, nullptr,
                       [&](int i, std::span<const float> row) { on_logits(begin + first + i, row); }));
  }
  return {};
}

Result<Generation> Session::Generate(const Request& request) {
  Engine::Impl& engine = impl_->engine;
  const int context = engine.options.context_tokens;
  const auto prompt_tokens = static_cast<int>(request.prompt.size());
  if (prompt_tokens == 0) return Fail(ErrorCode::kInvalidArgument, "the prompt has no tokens");
  KV_TRY(impl_->CheckTokens(request.prompt));
  if (prompt_tokens > context) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the prompt has {} tokens, but the context holds {}; shorten the prompt or load the model "
                            "with a larger context",
                            prompt_tokens, context));
  }
  const text::Tokenizer& tokenizer = engine.tokenizer->impl().tokenizer();
  KV_ASSIGN(sampling::Sampler sampler, sampling::Sampler::Create(request.sampling, engine.info.vocabulary,
                                                                 [&](int32_t id) { return tokenizer.Piece(id); }));
  for (const int32_t token : request.prompt) sampler.Accept(token);

  Generation result;
  result.prompt_tokens = prompt_tokens;
  result.seed = sampler.seed();
  result.cached_tokens = impl_->ReusePrefix(request.prompt);
  std::vector<float> logits;
  const Clock::time_point start = Clock::now();
  const auto finish = [&](FinishReason reason) {
    result.reason = reason;
    result.kv_bytes = kv_bytes();
    return result;
  };
  if (Status status = impl_->Prefill(request, logits); !status) {
    if (status.error().code == ErrorCode::kCancelled) return finish(FinishReason::kCancelled);
    return std::unexpected(status.error());
  }
  result.prompt_seconds = SecondsSince(start);

  text::StreamDecoder decoder(tokenizer, {.skip_special = true, .strip_space_prefix = false});
  StopMatcher stops(request.stop);
  const Clock::time_point decode_start = Clock::now();
  auto reason = FinishReason::kLength;
  while (request.max_tokens != 0) {
    KV_ASSIGN(const int32_t token, sampler.Sample(logits));
    sampler.Accept(token);
    if (!request.ignore_end_of_text && engine.tokenizer->IsEndOfGeneration(token)) {
      reason = FinishReason::kStop;
      break;
    }
    result.tokens.push_back(token);
    const std::string ready = stops.Push(decoder.Push(token));
    result.text += ready;
    if (request.on_token && !request.on_token({.token = token, .text = ready})) return finish(FinishReason::kCancelled);
    if (stops.stopped()) return finish(FinishReason::kStop);
    if (static_cast<int>(result.tokens.size()) == request.max_tokens) break;

    bool full = false;
    KV_TRY(impl_->MakeRoom(request, &full));
    if (full) break;
    const Status status = impl_->Step({&token, 1}, 0, request.cancel, [&](int, std::span<const float> row) {
      std::copy(row.begin(), row.end(), logits.begin());
    });
    if (!status && status.error().code == ErrorCode::kCancelled) return finish(FinishReason::kCancelled);
    KV_TRY(status);
    result.decode_seconds = SecondsSince(decode_start);
  }
  const std::string rest = stops.Push(decoder.Flush()) + stops.Flush();
  result.text += rest;
  if (!rest.empty() && request.on_token) request.on_token({.token = -1, .text = rest});
  return finish(reason);
}

}  // namespace kvasir
