// The scheduler's thread: one step after the other.
//
// The problem: requests come and go at any time, decoding one token for one request leaves most of the machine idle
// (the weights are read for a single row), and a long prompt must not stop the streams. The idea ("continuous
// batching"): every step is composed anew. First a row for each stream, then pieces of prompts, as many rows as the
// pace allows, in order of admission. Because a row's result does not depend on the batch
// (docs/design/0002-same-bits.md), composition is free to change and nobody's text does. Sources: Yu et al., "Orca",
// OSDI 2022; Agrawal et al., "Sarathi-Serve", OSDI 2024 (decodes first, prompts in chunks).

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/seconds_since.h"
#include "engine/prompt_share.h"
#include "engine/scheduler_impl.h"
#include "engine/step.h"

namespace kvasir {
namespace {

using namespace std::chrono_literals;

// How often a queue that cannot be admitted is looked at when nothing of ours can make room: sessions of the same
// engine free memory without telling, and deadlines pass.
constexpr auto kPoll = 5ms;

void CountStep(int tokens, StepStats& stats) {
  const auto place =
      std::ranges::lower_bound(StepStats::kBounds, static_cast<double>(tokens)) - StepStats::kBounds.begin();
  ++stats.steps[static_cast<size_t>(place)];
  stats.tokens += tokens;
}

}  // namespace

void Scheduler::Impl::Loop() {
  while (WaitForWork()) {
    EndUnwanted();
    EvictDue();
    Admit();
    const std::vector<ScheduledRequest*> step = PlanStep();
    if (step.empty()) continue;
    const Status status = ComputeStep(step);
    for (ScheduledRequest* request : step) {
      if (status) {
        Advance(*request);
        continue;
      }
      request->generator.AbandonStep();
      if (request->shadow) request->shadow->Discard();
      // A cancelled step is tried again without those who wanted it cancelled.
      if (status.error().code != ErrorCode::kCancelled) {
        End(*request, std::unexpected(status.error()));
      } else if (request->evictor && request->evictor->dirty()) {
        Preempt(*request);  // its record counts rows of the lost step
      }
    }
  }
}

// Waits until there is something to do. False: everything has ended and the scheduler stops.
bool Scheduler::Impl::WaitForWork() {
  std::unique_lock lock(mutex);
  if (!running.empty()) return true;
  if (queue.empty()) {
    work.wait(lock, [&] { return stopping || !queue.empty(); });
    return !queue.empty();
  }
  // Whoever waits was either just submitted or could not be admitted.
  if (std::ranges::all_of(queue.items(), [](const auto& item) { return item->passed_over; }))
    work.wait_for(lock, kPoll);
  return true;
}

// Ends what was cancelled or is too late.
void Scheduler::Impl::EndUnwanted() {
  const auto now = SchedulerClock::now();
  const auto unwanted = [&](const ScheduledRequest& request) {
    return request.IsCancelled() || request.deadline <= now;
  };
  const auto reason = [](const ScheduledRequest& request) {
    return request.IsCancelled() ? FinishReason::kCancelled : FinishReason::kDeadline;
  };
  std::vector<RequestQueue::Item> waiting;
  {
    const std::lock_guard lock(mutex);
    waiting = queue.TakeIf(unwanted);
  }
  for (RequestQueue::Item& request : waiting) {
    const FinishReason why = reason(*request);
    Conclude(std::move(request), why);
  }
  std::vector<ScheduledRequest*> started;
  for (const auto& request : running) {
    if (unwanted(*request)) started.push_back(request.get());
  }
  for (ScheduledRequest* request : started) End(*request, reason(*request));
}

// Chooses the rows of the next step and reserves their slots.
std::vector<ScheduledRequest*> Scheduler::Impl::PlanStep() {
  std::vector<ScheduledRequest*> streams;
  std::vector<ScheduledRequest*> prompts;
  for (const auto& request : running) (request->remaining() == 1 ? streams : prompts).push_back(request.get());
  const int room = pace.PromptRows(static_cast<int>(streams.size()));
  {
    const std::lock_guard lock(mutex);
    counters.prompt_chunk_tokens = room;
  }
  std::vector<ScheduledRequest*> step;
  const auto plan = [&](ScheduledRequest* request, int rows) {
    // Without a sequence it was preempted for an earlier one of this step.
    if (rows > 0 && request->sequence && Extend(*request, rows)) step.push_back(request);
  };
  for (ScheduledRequest* request : streams) plan(request, 1);
  std::vector<PromptWork> work;
  work.reserve(prompts.size());
  for (const ScheduledRequest* request : prompts) work.push_back({request->remaining(), request->submission.priority});
  const std::vector<int> rows = ShareRows(work, room);
  for (size_t i = 0; i < prompts.size(); ++i) plan(prompts[i], rows[i]);
  std::erase_if(step, [](const ScheduledRequest* request) { return !request->sequence; });
  return step;
}

Status Scheduler::Impl::ComputeStep(std::span<ScheduledRequest* const> step) {
  int streams = 0;
  int prompt_rows = 0;
  std::vector<StepRows> rows;
  for (ScheduledRequest* request : step) {
    kvcache::KvSequence& sequence = *request->sequence;
    const int count = sequence.length() - sequence.committed();
    const int start = request->taken() - count;
    (count == 1 ? streams : prompt_rows) += count;
    rows.push_back(
        {.sequence = &sequence,
         .first_logits = request->generator.first_logits() - start,
         .on_logits = [request, start](
                          int i, std::span<const float> logits) { request->generator.OnLogits(start + i, logits); },
         .record = request->evictor ? request->evictor->record() : nullptr,
         .shadow = request->shadow.get()});
  }
  {
    const std::lock_guard lock(mutex);
    step_cancel = false;
    for (ScheduledRequest* request : step) request->in_step = true;
    AbandonStepIfUnwanted();
  }
  const auto start = SchedulerClock::now();
  const Status status = RunStep(engine, rows, &step_cancel);
  const double seconds = base::SecondsSince(start);
  if (status) pace.Observe(streams, prompt_rows, seconds);
  const std::lock_guard lock(mutex);
  for (ScheduledRequest* request : step) request->in_step = false;
  ++counters.steps;
  if (status) CountStep(streams + prompt_rows, counters.step_tokens);
  counters.last_step_ms = seconds * 1e3;
  return status;
}

// Takes a request on from a step that was computed.
void Scheduler::Impl::Advance(ScheduledRequest& request) {
  Generator& generator = request.generator;
  const int before = request.computed_tokens;
  const int computed = request.taken();
  const int generated_before = generator.generated();
  auto finished = generator.FinishStep(computed);
  if (request.evictor) request.evictor->OnStep();
  {
    const std::lock_guard lock(mutex);
    const auto prompt = static_cast<int>(generator.prompt().size());
    const int is_new = std::clamp(request.highest_computed, before, computed);  // from here on
    counters.recomputed_tokens += is_new - before;
    counters.prompt_tokens += std::min(computed, prompt) - std::min(is_new, prompt);
    counters.generated_tokens += generator.generated() - generated_before;
    queue.Charge(request.submission.tenant, generator.generated() - generated_before);
    if (request.sequence->whole()) ShowSealed(request);
    if (request.shadow) request.shadow->Report(counters.shadow);
  }
  request.highest_computed = std::max(request.highest_computed, computed);
  request.computed_tokens = computed;
  request.generated_tokens = generator.generated();
  request.kv_bytes = request.sequence->bytes();
  if (!finished) return End(request, std::unexpected(finished.error()));
  if (*finished) return End(request, **finished);
  if (request.remaining() == 1) request.phase = RequestPhase::kGenerating;
  // Where a text could go on for ever, it does so if it was asked to.
  const bool goes_on = engine.options.kv.endless() && generator.request().max_tokens >= 0;
  const int end = std::max(engine.options.context_tokens, static_cast<int>(generator.prompt().size()));
  if (!goes_on && computed >= end) End(request, FinishReason::kLength);
}

// Brings up to date what observers see of a request's blocks. Under the mutex.
void Scheduler::Impl::ShowSealed(ScheduledRequest& request) const {
  const auto sealed = request.sequence->sealed();
  const auto known = static_cast<std::ptrdiff_t>(std::min(request.sealed.size(), sealed.size()));
  request.sealed.insert(request.sealed.end(), sealed.begin() + known, sealed.end());
}

// Takes a running request out and concludes it.
void Scheduler::Impl::End(ScheduledRequest& request, Result<FinishReason> reason) {
  std::unique_ptr<ScheduledRequest> owned;
  {
    const std::lock_guard lock(mutex);
    const auto found = std::ranges::find_if(running, [&](const auto& item) { return item.get() == &request; });
    KV_CHECK(found != running.end());
    owned = std::move(*found);
    running.erase(found);
  }
  Conclude(std::move(owned), std::move(reason));
}

// The end of a request that is in no list any more: its pages go back, then its caller is told.
void Scheduler::Impl::Conclude(std::unique_ptr<ScheduledRequest> request, Result<FinishReason> reason) {
  const size_t kv_bytes = request->sequence ? request->sequence->bytes() : 0;
  DropSequence(*request);
  Result<Completion> result = std::unexpected(Error{});
  if (reason) {
    const double waited = base::SecondsSince(request->submitted);
    result = Completion{.generation = request->generator.Finish(*reason, kv_bytes),
                        .cache = request->cache,
                        .queue_seconds = request->queue_seconds < 0 ? waited : request->queue_seconds,
                        .preemptions = request->preemptions};
  } else {
    result = std::unexpected(reason.error());
  }
  {
    const std::lock_guard lock(mutex);
    by_id.erase(request->id);
    queue.Leave(request->submission.tenant);
    const bool ended = reason && (*reason == FinishReason::kStop || *reason == FinishReason::kLength);
    ++(!reason ? counters.failed : ended ? counters.completed : counters.cancelled);
  }
  if (request->submission.on_done) request->submission.on_done(std::move(result));
  request.reset();
  const std::lock_guard lock(mutex);
  if (--open == 0) idle.notify_all();
}

}  // namespace kvasir
