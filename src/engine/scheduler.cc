#include "kvasir/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <limits>

#include "base/check.h"
#include "engine/cache_map.h"
#include "engine/scheduler_impl.h"

namespace kvasir {
namespace {

constexpr int kMaxWaiting = 1 << 20;

Status CheckRange(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return {};
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}; allowed are {} to {}", name, value, low, high));
}

Status CheckOptions(const SchedulerOptions& options) {
  KV_TRY(CheckRange("max_running", options.max_running, 1, kMaxBatchRows));
  KV_TRY(CheckRange("max_waiting", options.max_waiting, 1, kMaxWaiting));
  KV_TRY(CheckRange("shadow_check_every", options.shadow_check_every, 0, std::numeric_limits<int>::max()));
  if (options.itl_target_ms >= 0 && options.itl_target_ms <= 1e6) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("itl_target_ms is {}; allowed are 0 (no target) to 1000000", options.itl_target_ms));
}

}  // namespace

std::string_view CacheMissName(CacheMiss miss) {
  switch (miss) {
    case CacheMiss::kNone: return "none";
    case CacheMiss::kDisabled: return "disabled";
    case CacheMiss::kPromptLogprobs: return "prompt logprobs";
    case CacheMiss::kDiverged: return "diverged";
    case CacheMiss::kNotHeld: return "not held";
    case CacheMiss::kEviction: return "eviction";
    case CacheMiss::kShadowCheck: return "shadow check";
    case CacheMiss::kNoMemory: return "no memory";
  }
  return "unknown";
}

std::string_view RequestPhaseName(RequestPhase phase) {
  switch (phase) {
    case RequestPhase::kWaiting: return "waiting";
    case RequestPhase::kPrompt: return "prompt";
    case RequestPhase::kGenerating: return "generating";
  }
  return "unknown";
}

Scheduler::Scheduler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Scheduler::~Scheduler() {
  Stop();
}

Result<std::unique_ptr<Scheduler>> Scheduler::Create(Engine& engine, const SchedulerOptions& options) {
  KV_TRY(CheckOptions(options));
  auto impl = std::make_unique<Impl>(engine.impl(), options);
  impl->thread = std::thread([impl = impl.get()] { impl->Loop(); });
  return std::unique_ptr<Scheduler>(new Scheduler(std::move(impl)));
}

const SchedulerOptions& Scheduler::options() const {
  return impl_->options;
}

Scheduler::Impl::Impl(Engine::Impl& engine, const SchedulerOptions& options)
    : engine(engine),
      options(options),
      pace(options.itl_target_ms / 1e3, kMaxBatchRows),
      prefixes(engine.kv_shape, engine.pages.get()) {}

Status Scheduler::Impl::CheckSubmission(const Submission& submission) const {
  if (submission.request.context_full == ContextFull::kShift) {
    return Fail(ErrorCode::kUnsupported,
                "a scheduler cannot shift contexts, because it could not compute them again after a preemption; let "
                "the request end when its context is full, or use a session");
  }
  if (submission.timeout.count() < 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("timeout is {} ms; it must be positive, or 0 for none", submission.timeout.count()));
  }
  return {};
}

// Under the mutex.
Status Scheduler::Impl::CheckPlace(const std::string& tenant) const {
  const auto waiting = static_cast<int>(queue.size());
  const int own = tenant.empty() ? waiting : queue.Waiting(tenant);
  if (QueueHasPlace(tenant, own, waiting, options.max_waiting)) return {};
  if (waiting >= options.max_waiting) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{} requests wait, and the queue holds {}; try again later", waiting, options.max_waiting));
  }
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("{} requests of this tenant wait, {} in all, and the other places of the queue's {} are for "
                          "others; try again later",
                          own, waiting, options.max_waiting));
}

Result<RequestId> Scheduler::Impl::Submit(Submission submission) {
  KV_TRY(CheckSubmission(submission));
  KV_ASSIGN(Generator generator, Generator::Create(engine, engine.options.kv, std::exchange(submission.request, {})));
  const size_t prompt = generator.prompt().size();
  const auto held = std::min(static_cast<int64_t>(prompt), static_cast<int64_t>(engine.options.context_tokens));
  const size_t bytes =
      RecordBytesOf(generator) + kvcache::PeakBytes(engine.kv_shape, engine.kv_options.layout(), held, 1);
  if (bytes > engine.pages->budget_bytes()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the prompt's {} tokens need {} bytes of cache, but the budget is {} bytes; shorten the "
                            "prompt or load the model with a larger cache",
                            prompt, bytes, engine.pages->budget_bytes()));
  }
  kvcache::KvOptions kv_options = engine.kv_options;
  // The length in front tells ("ab", "c") from ("a", "bc").
  kv_options.tenant_salt = fmt::format("{}:{}{}", submission.tenant.size(), submission.tenant, submission.cache_salt);
  const std::lock_guard lock(mutex);
  if (!accepting) return Fail(ErrorCode::kCancelled, "the scheduler is stopping and accepts no more requests");
  if (const Status place = CheckPlace(submission.tenant); !place) {
    ++counters.refused;
    return std::unexpected(place.error());
  }
  auto request = std::make_unique<ScheduledRequest>(++last_id, std::move(submission), std::move(generator));
  request->kv_options = std::move(kv_options);
  // A check counts the positions of the whole text.
  if (options.shadow_check_every > 0 && !engine.options.kv.endless() &&
      counters.accepted % options.shadow_check_every == 0) {
    request->shadow = ShadowCheck::Create(engine, counters.shadow.requests);
    if (request->shadow) ++counters.shadow.requests;
  }
  by_id[last_id] = request.get();
  queue.Enter(request->submission.tenant);
  queue.Push(std::move(request));
  ++counters.accepted;
  ++open;
  work.notify_one();
  return last_id;
}

bool Scheduler::Impl::Cancel(RequestId id) {
  const std::lock_guard lock(mutex);
  const auto found = by_id.find(id);
  if (found == by_id.end()) return false;
  found->second->cancelled = true;
  AbandonStepIfUnwanted();
  work.notify_one();
  return true;
}

void Scheduler::Impl::CancelAll() {
  const std::lock_guard lock(mutex);
  accepting = false;
  stopping = true;
  for (const auto& [id, request] : by_id) request->cancelled = true;
  AbandonStepIfUnwanted();
  work.notify_one();
}

// A step that computes for cancelled requests alone ends at its next layer.
void Scheduler::Impl::AbandonStepIfUnwanted() {
  const auto unwanted = [](const auto& request) { return !request->in_step || request->cancelled; };
  if (std::ranges::all_of(running, unwanted)) step_cancel = true;
}

Result<RequestId> Scheduler::Submit(Submission submission) {
  return impl_->Submit(std::move(submission));
}

bool Scheduler::Cancel(RequestId id) {
  return impl_->Cancel(id);
}

Result<Completion> Scheduler::Run(Submission submission) {
  std::promise<Result<Completion>> promise;
  submission.on_done = [&](Result<Completion> completion) { promise.set_value(std::move(completion)); };
  KV_TRY(Submit(std::move(submission)));
  return promise.get_future().get();
}

bool Scheduler::Drain(std::chrono::milliseconds timeout) {
  std::unique_lock lock(impl_->mutex);
  impl_->accepting = false;
  return impl_->idle.wait_for(lock, timeout, [&] { return impl_->open == 0; });
}

void Scheduler::Stop() {
  impl_->CancelAll();
  if (impl_->thread.joinable()) impl_->thread.join();
}

SchedulerStats Scheduler::Stats() const {
  return impl_->Stats();
}

RequestView Scheduler::Impl::ViewOf(const ScheduledRequest& request) const {
  const std::chrono::duration<double> age = SchedulerClock::now() - request.submitted;
  return {.id = request.id,
          .label = request.submission.label,
          .tenant = request.submission.tenant,
          .priority = request.submission.priority,
          .phase = request.phase,
          .prompt_tokens = static_cast<int>(request.generator.prompt().size()),
          .cached_tokens = request.cached_tokens,
          .computed_tokens = request.computed_tokens,
          .generated_tokens = request.generated_tokens,
          .preemptions = request.preemptions,
          .kv_bytes = request.kv_bytes,
          .age_seconds = age.count()};
}

SchedulerStats Scheduler::Impl::Stats() const {
  const kvcache::PoolStats pages = engine.pages->stats();
  const kvcache::PrefixStats prefix = prefixes.stats();
  const std::lock_guard lock(mutex);
  SchedulerStats stats = counters;
  stats.evicted_blocks = prefix.evicted_blocks;
  stats.kv_shared_bytes = prefix.shared_bytes;
  stats.kv_cached_bytes = prefix.unused_bytes;
  stats.running = static_cast<int>(running.size());
  stats.waiting = static_cast<int>(queue.size());
  stats.kv_budget_bytes = pages.budget_bytes;
  stats.kv_bytes = pages.live_bytes;
  stats.kv_record_bytes = pages.reserved_bytes;
  for (const auto& request : running) stats.requests.push_back(ViewOf(*request));
  for (const auto& request : queue.items()) stats.requests.push_back(ViewOf(*request));
  return stats;
}

CacheMap Scheduler::Cache(int max_segments) const {
  return impl_->Cache(max_segments);
}

CacheMap Scheduler::Impl::Cache(int max_segments) const {
  std::vector<RequestBlocks> requests;
  {
    const std::lock_guard lock(mutex);
    for (const auto& request : running) requests.push_back({request->id, request->computed_tokens, request->sealed});
  }
  return MakeCacheMap(prefixes.Blocks(), requests, max_segments);
}

}  // namespace kvasir
