// Who may start, and who must give way.
//
// The problem: the pages of all requests share one budget, how long an answer becomes is not known, and a request that
// has begun must not fail for want of memory. The idea: admit a request when the pages of all it has so far fit beside
// what is in use, what was promised to prompts under way and a block for every stream; so admission is arithmetic, and
// as many run as possible. When answers grow beyond the budget all the same, the weakest request (lowest priority, then
// latest admitted) loses its pages and goes back to the queue. It is computed again later and goes on with the same
// text: recomputing gives the same bits. The strongest request always goes on, so the whole never stands still.

#include <algorithm>

#include "base/check.h"
#include "engine/scheduler_impl.h"

namespace kvasir {

// Bytes it will allocate until everything it has so far is computed, with `held_blocks` blocks in place.
size_t Scheduler::Impl::BytesToReach(const ScheduledRequest& request, int64_t held_blocks) const {
  return kvcache::BytesToGrow(engine.kv_shape, engine.kv_options.format, held_blocks,
                              static_cast<int64_t>(request.generator.tokens().size()), kMaxBatchRows);
}

// Bytes that running requests still need for their prompts, and a block for each that may need one soon.
size_t Scheduler::Impl::PromisedBytes() const {
  size_t bytes = 0;
  for (const auto& request : running) {
    bytes += BytesToReach(*request, kvcache::BlocksFor(request->sequence->length()));
    bytes += kvcache::BytesToGrow(engine.kv_shape, engine.kv_options.format, 0, kernels::kPageTokens, 1);
  }
  return bytes;
}

void Scheduler::Impl::Admit() {
  {
    const std::lock_guard lock(mutex);
    for (const auto& item : queue.items()) item->passed_over = false;
  }
  while (running.size() < static_cast<size_t>(options.max_running)) {
    ScheduledRequest* next = nullptr;
    {
      const std::lock_guard lock(mutex);  // others push meanwhile
      next = queue.Next();
    }
    if (next == nullptr || !TryAdmit(*next)) break;
  }
}

bool Scheduler::Impl::TryAdmit(ScheduledRequest& request) {
  const kvcache::PoolStats pages = engine.pages->stats();
  const size_t available = pages.budget_bytes - pages.live_bytes;
  if (BytesToReach(request, 0) + PromisedBytes() > available) {
    request.passed_over = true;
    return false;
  }
  auto sequence = kvcache::KvSequence::Create(*engine.pages, engine.kv_shape, engine.kv_options);
  KV_CHECK(sequence.has_value());  // the engine checked shape and options
  request.sequence.emplace(std::move(*sequence));
  request.phase = RequestPhase::kPrompt;
  request.computed_tokens = request.sequence->length();
  const bool first = request.queue_seconds < 0;
  if (first) {
    request.queue_seconds = std::chrono::duration<double>(SchedulerClock::now() - request.submitted).count();
    request.generator.Begin(request.cache.matched_tokens);
  }
  const std::lock_guard lock(mutex);
  request.admission = ++last_admission;
  if (first) queue.Charge(request.submission.tenant, request.remaining());
  running.push_back(queue.Take(&request));
  return true;
}

// The weakest running request that is weaker than `request`, if any.
ScheduledRequest* Scheduler::Impl::WeakestBelow(const ScheduledRequest& request) const {
  ScheduledRequest* weakest = nullptr;
  for (const auto& other : running) {
    if (request.Outranks(*other) && (weakest == nullptr || weakest->Outranks(*other))) weakest = other.get();
  }
  return weakest;
}

// Reserves slots for the next `rows` tokens of a running request, at the expense of weaker ones if need be. False when
// the request had to give way itself, or has ended.
bool Scheduler::Impl::Extend(ScheduledRequest& request, int rows) {
  const auto next =
      request.generator.tokens().subspan(static_cast<size_t>(request.sequence->length()), static_cast<size_t>(rows));
  while (true) {
    const Status status = request.sequence->Extend(next);
    if (status) return true;
    if (status.error().code != ErrorCode::kResourceExhausted) {
      End(request, std::unexpected(status.error()));
      return false;
    }
    if (ScheduledRequest* weaker = WeakestBelow(request)) {
      Preempt(*weaker);
    } else if (running.size() > 1) {
      Preempt(request);
      return false;
    } else if (request.generator.generated() > 0) {
      End(request, FinishReason::kLength);  // alone, and the budget holds no more
      return false;
    } else {
      Preempt(request);  // sessions hold the memory: wait for them
      return false;
    }
  }
}

// Takes the pages of a running request and queues it again.
void Scheduler::Impl::Preempt(ScheduledRequest& request) {
  request.sequence.reset();
  request.computed_tokens = 0;
  request.kv_bytes = 0;
  request.phase = RequestPhase::kWaiting;
  request.passed_over = true;  // not in the round that took its memory
  ++request.preemptions;
  const std::lock_guard lock(mutex);
  ++counters.preemptions;
  const auto found = std::ranges::find_if(running, [&](const auto& item) { return item.get() == &request; });
  KV_CHECK(found != running.end());
  queue.Push(std::move(*found));
  running.erase(found);
}

}  // namespace kvasir
