// A session: one token sequence, its cache, and the loop that extends it.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/cache_evictor.h"
#include "engine/engine_impl.h"
#include "engine/generator.h"
#include "engine/kv_plan.h"
#include "engine/step.h"
#include "kvcache/eviction_driver.h"
#include "kvcache/kv_sequence.h"

namespace kvasir {

struct Session::Impl {
  Impl(Engine::Impl& engine, const KvSpec& kv, kvcache::KvSequence made, std::unique_ptr<CacheEvictor> evictor)
      : engine(engine), spec(kv), sequence(std::move(made)), evictor(std::move(evictor)) {}

  static Result<std::unique_ptr<Session>> Make(Engine::Impl& engine, const KvSpec& kv,
                                               const kvcache::KvOptions& options);
  int ReusePrefix(std::span<const int32_t> prompt, int at_most);
  Result<FinishReason> Generate(Generator& generator);
  Status MakeRoom(const Request& request, bool* full);
  void Rewind(int32_t length);
  int RoomInStep() const;
  Status EvictIfDue();
  /// Tokens of the text that the sequence does not count any more.
  int dropped() const { return shifted + (evictor ? evictor->dropped() : 0); }
  bool endless() const { return evictor != nullptr && spec.endless(); }

  Engine::Impl& engine;
  const KvSpec spec;
  kvcache::KvSequence sequence;
  std::unique_ptr<CacheEvictor> evictor;  // null: nothing is evicted
  int32_t shifted = 0;                    // tokens that context shifts of the generation in progress have dropped
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
  impl_->Rewind(0);
}

Status Session::CompressCache() {
  if (impl_->evictor == nullptr || length() == 0) return {};
  return impl_->evictor->Compress(impl_->sequence);
}

void Session::Impl::Rewind(int32_t length) {
  const bool changes = length != sequence.length() || length == 0;
  KV_CHECK(sequence.Truncate(length).has_value());
  if (evictor && changes) evictor->OnRewind(sequence);
}

int Session::Impl::RoomInStep() const {
  const int room = std::min(kMaxBatchRows, sequence.RoomInStep());
  return evictor ? std::min(room, evictor->RoomInStep(sequence)) : room;
}

// No memory for the copies is no reason to stop: the tokens stay, and the next step tries again.
Status Session::Impl::EvictIfDue() {
  if (evictor == nullptr) return {};
  const Status status = evictor->EvictIfDue(sequence);
  if (!status && status.error().code == ErrorCode::kResourceExhausted) return {};
  return status;
}

Result<std::unique_ptr<Session>> Session::Impl::Make(Engine::Impl& engine, const KvSpec& kv,
                                                     const kvcache::KvOptions& options) {
  KV_ASSIGN(auto sequence, kvcache::KvSequence::Create(*engine.pages, engine.kv_shape, options));
  KV_ASSIGN(auto evictor,
            CacheEvictor::Create(engine, kv, sequence.options().compact.get(), engine.options.context_tokens));
  return std::make_unique<Session>(std::make_unique<Impl>(engine, kv, std::move(sequence), std::move(evictor)));
}

Result<std::unique_ptr<Session>> Engine::NewSession() {
  return Session::Impl::Make(*impl_, impl_->options.kv, impl_->kv_options);
}

Result<std::unique_ptr<Session>> Engine::NewSession(const KvSpec& kv) {
  const KvSpec spec = ResolveKvSpec(kv, impl_->options.compute);
  KV_ASSIGN(CachePlan plan, PlanCache(spec, impl_->gguf, impl_->model->config(), impl_->kv_shape, impl_->options.model,
                                      impl_->options.context_tokens));
  plan.options.budget_bytes = impl_->kv_options.budget_bytes;
  plan.options.recent = std::min(plan.options.recent, impl_->kv_options.recent);
  return Session::Impl::Make(*impl_, plan.spec, plan.options);
}

// Rewinds the cache to the longest prefix of `prompt` that was computed, `at_most` tokens, and returns its length.
int Session::Impl::ReusePrefix(std::span<const int32_t> prompt, int at_most) {
  const std::span<const int32_t> held = sequence.tokens();
  int32_t common = evictor ? evictor->CommonWith(sequence, prompt)
                           : static_cast<int32_t>(std::ranges::mismatch(held, prompt).in1 - held.begin());
  common = std::min(common, at_most);
  // Layers with a sliding window may have released what a rewound sequence would have to see again.
  if (!sequence.CanTruncateTo(common - dropped())) common = dropped();
  int32_t left = evictor ? evictor->Reusable(sequence, common, static_cast<int>(prompt.size())) : common;
  if (!sequence.CanTruncateTo(left)) left = 0;
  Rewind(left);
  if (evictor) evictor->BeginPrompt(static_cast<int>(prompt.size()));
  return left == 0 ? 0 : left + dropped();
}

// Makes sure that one more token fits. `full` says that it does not and generation has to end.
Status Session::Impl::MakeRoom(const Request& request, bool* full) {
  const int context = engine.options.context_tokens;
  // A text that could go on for ever does so where that was asked for.
  const bool asked = request.context_full == ContextFull::kShift || request.max_tokens >= 0;
  const int end = std::max(context, static_cast<int>(request.prompt.size()));
  *full = endless() && !asked && sequence.length() + dropped() >= end;
  if (*full || sequence.length() < context) return {};
  if (request.context_full == ContextFull::kStop || evictor != nullptr) {
    *full = true;
    return {};
  }
  const int sinks = std::max(request.sink_tokens, 0);
  const auto kept_sinks = static_cast<int>(kvcache::BlocksFor(sinks)) * kernels::kPageTokens;
  // Whole pages go; a context that is too small for that ends like one that must not shift.
  const int can_go = (context - kept_sinks - sequence.options().recent) / kernels::kPageTokens * kernels::kPageTokens;
  if (can_go <= 0) {
    *full = true;
    return {};
  }
  const int drop = std::clamp((context - sinks) / 2, 1, can_go);
  KV_ASSIGN(const int32_t gone, sequence.ShiftContext(sinks, drop, kvcache::TurnKeysBy(engine.attention)));
  shifted += gone;
  return {};
}

Status Session::Evaluate(std::span<const int32_t> tokens, int first_logits, int chunk,
                         const std::function<void(int, std::span<const float>)>& on_logits) {
  KV_TRY(CheckTokens(impl_->engine, tokens));
  const auto total = static_cast<int>(tokens.size());
  const int step = chunk <= 0 ? kMaxBatchRows : std::min(chunk, kMaxBatchRows);
  const int context = impl_->engine.options.context_tokens;
  if (length() + total > context && !impl_->endless()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} tokens behind {} do not fit the context of {} tokens", total, length(), context));
  }
  for (int begin = 0; begin < total;) {
    if (length() >= context) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("the context of {} tokens is full, and there is no memory to make room in it", context));
    }
    const int count = std::min({step, total - begin, impl_->RoomInStep()});
    KV_TRY(impl_->sequence.Extend(tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(count))));
    const StepRows rows{.sequence = &impl_->sequence,
                        .first_logits = std::clamp(first_logits - begin, 0, count),
                        .on_logits = [&](int i, std::span<const float> row) { on_logits(begin + i, row); },
                        .record = impl_->evictor ? impl_->evictor->record() : nullptr};
    const Status status = RunStep(impl_->engine, {&rows, 1}, nullptr);
    if (!status && impl_->evictor && impl_->evictor->dirty()) impl_->Rewind(0);  // its record counts lost rows
    KV_TRY(status);
    if (impl_->evictor) impl_->evictor->OnStep();
    KV_TRY(impl_->EvictIfDue());
    begin += count;
  }
  return {};
}

// Step after step until the generator has enough.
Result<FinishReason> Session::Impl::Generate(Generator& generator) {
  const Request& request = generator.request();
  while (true) {
    const int computed = sequence.length() + dropped();
    const std::span<const int32_t> next = generator.tokens().subspan(static_cast<size_t>(computed));
    KV_TRY(sequence.Extend(next.first(std::min(next.size(), static_cast<size_t>(RoomInStep())))));
    const StepRows rows{.sequence = &sequence,
                        .first_logits = generator.first_logits() - computed,
                        .on_logits = [&](int i, std::span<const float> row) { generator.OnLogits(computed + i, row); },
                        .record = evictor ? evictor->record() : nullptr};
    const Status status = RunStep(engine, {&rows, 1}, request.cancel);
    if (!status && status.error().code == ErrorCode::kCancelled) return FinishReason::kCancelled;
    KV_TRY(status);
    KV_ASSIGN(const std::optional<FinishReason> finished, generator.FinishStep(sequence.length() + dropped()));
    if (evictor) evictor->OnStep();
    if (finished) return *finished;
    KV_TRY(EvictIfDue());
    bool full = false;
    KV_TRY(MakeRoom(request, &full));
    if (full) return FinishReason::kLength;
  }
}

Result<Generation> Session::Generate(const Request& request) {
  KV_ASSIGN(Generator generator, Generator::Create(impl_->engine, impl_->spec, request));
  impl_->shifted = 0;
  generator.Begin(impl_->ReusePrefix(request.prompt, generator.reusable()));
  KV_ASSIGN(const FinishReason reason, impl_->Generate(generator));
  return generator.Finish(reason, kv_bytes());
}

}  // namespace kvasir
