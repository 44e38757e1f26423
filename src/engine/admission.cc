// Who may start, and who must give way.
//
// The problem: the pages of all requests share one budget, how long an answer becomes is not known, and a request that
// has begun must not fail for want of memory. The idea: admit a request when the pages of all it has so far fit beside
// what is in use, what was promised to prompts under way and a block for every stream; so admission is arithmetic, and
// as many run as possible. When answers grow beyond the budget all the same, the weakest request (lowest priority, then
// latest admitted) loses its pages and goes back to the queue. It is computed again later and goes on with the same
// text: recomputing gives the same bits. The strongest request always goes on, so the whole never stands still.

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/seconds_since.h"
#include "engine/scheduler_impl.h"

namespace kvasir {

// Bytes it will allocate until everything it has so far is computed, with `held_blocks` blocks in place, in steps of at
// most `step` tokens. Where tokens are evicted, an answer takes the places of what was forgotten.
size_t Scheduler::Impl::BytesToReach(const ScheduledRequest& request, int64_t held_blocks, int step) const {
  const Generator& generator = request.generator;
  const int most = CacheEvictor::MostHeld(engine, static_cast<int>(generator.prompt().size()),
                                          static_cast<int>(generator.tokens().size()));
  const int64_t tokens = std::max<int64_t>(most, held_blocks * kernels::kPageTokens);
  return kvcache::BytesToGrow(engine.kv_shape, engine.kv_options.layout(), held_blocks, tokens, step);
}

// Tokens that a head of a request holds at most, however long its answer becomes.
int Scheduler::Impl::MostHeldBy(const Generator& generator) const {
  return CacheEvictor::MostHeld(engine, static_cast<int>(generator.prompt().size()), engine.options.context_tokens);
}

// Bytes that are set aside when a request starts, for what its policy records.
size_t Scheduler::Impl::RecordBytesOf(const Generator& generator) const {
  return RecordBytes(engine.options.kv, engine.kv_shape, engine.attention.heads, MostHeldBy(generator));
}

// Bytes that running requests still need for their prompts, and a block for each that may need one soon.
size_t Scheduler::Impl::PromisedBytes() const {
  size_t bytes = 0;
  for (const auto& request : running) {
    bytes += BytesToReach(*request, kvcache::BlocksFor(request->taken()), kMaxBatchRows);
    bytes += kvcache::BytesToGrow(engine.kv_shape, engine.kv_options.layout(), 0, kernels::kPageTokens, 1);
  }
  return bytes;
}

void Scheduler::Impl::Admit() {
  {
    const std::lock_guard lock(mutex);
    for (const auto& item : queue.items()) item->passed_over = false;
  }
  while (true) {
    ScheduledRequest* next = nullptr;
    {
      const std::lock_guard lock(mutex);  // others push meanwhile
      next = queue.Next();
    }
    // Nobody overtakes one for whom there is no room, or a large request would wait for ever.
    if (next == nullptr || !TryAdmit(*next)) break;
  }
}

// Starts a request, or passes over it where it is to wait for what another computes. False: there is no room.
bool Scheduler::Impl::TryAdmit(ScheduledRequest& request) {
  request.passed_over = true;
  if (StillBeingComputed(request)) return true;
  while (running.size() >= static_cast<size_t>(options.max_running)) {
    ScheduledRequest* weaker = WeakestBelow(request, true);
    if (weaker == nullptr) return false;
    Preempt(*weaker);
  }
  kvcache::PrefixMatch match = FindPrefix(request);
  if (IsBeingComputed(request, match)) return true;
  CacheReport report = Explain(request, match);
  const size_t record = RecordBytesOf(request.generator);
  if (!MakeRoom(request, record + BytesToReach(request, match.length / kernels::kPageTokens, kMaxBatchRows))) {
    if (!running.empty()) return false;
    // With nobody to wait for it starts with what there is: without the blocks it would share, whose place it may need,
    // and token by token, which takes the least room where layers have windows.
    if (match.length > 0) report = {.matched_tokens = 0, .reason = CacheMiss::kNoMemory};
    match = {};
    if (!MakeRoom(request, record + BytesToReach(request, 0, 1))) return EndIfTooLarge(request);
  }
  auto evictor =
      CacheEvictor::Create(engine, engine.options.kv, engine.kv_options.compact.get(), MostHeldBy(request.generator));
  if (!evictor) return false;  // a session has taken the room meanwhile
  if (request.queue_seconds < 0) request.cache = report;
  Start(request, match, *std::move(evictor));
  return true;
}

// Ends a request whose tokens have outgrown the whole budget: it was preempted when it could hardly go on. One that
// only waits for sessions of the engine to free memory stays. Returns whether it ended.
bool Scheduler::Impl::EndIfTooLarge(ScheduledRequest& request) {
  if (RecordBytesOf(request.generator) + BytesToReach(request, 0, 1) <= engine.pages->budget_bytes()) return false;
  std::unique_ptr<ScheduledRequest> owned;
  {
    const std::lock_guard lock(mutex);
    owned = queue.Take(&request);
  }
  Conclude(std::move(owned), FinishReason::kLength);
  return true;
}

// Frees memory until `bytes` are available beside what is promised to running requests: first cached blocks, then the
// pages of requests with a lower priority.
bool Scheduler::Impl::MakeRoom(const ScheduledRequest& request, size_t bytes) {
  while (true) {
    const kvcache::PoolStats pages = engine.pages->stats();
    const size_t available = pages.budget_bytes - pages.live_bytes - pages.reserved_bytes;
    const size_t needed = bytes + PromisedBytes();
    if (needed <= available) return true;
    const size_t missing = needed - available;
    if (prefixes.ReclaimableBytes(missing) >= missing) {
      prefixes.Reclaim(missing);
      continue;
    }
    ScheduledRequest* weaker = WeakestBelow(request, true);
    if (weaker == nullptr) return false;
    Preempt(*weaker);
  }
}

// Makes a queued request a running one that holds `match`.
void Scheduler::Impl::Start(ScheduledRequest& request, const kvcache::PrefixMatch& match,
                            std::unique_ptr<CacheEvictor> evictor) {
  std::vector<kvcache::SealObserver*> observers;
  if (options.prefix_cache) observers.push_back(&prefixes);
  auto sequence = kvcache::KvSequence::Create(*engine.pages, engine.kv_shape, request.kv_options, std::move(observers));
  KV_CHECK(sequence.has_value());  // the engine checked shape and options
  sequence->Adopt(match.blocks, match.length);
  request.sequence.emplace(std::move(*sequence));
  request.evictor = std::move(evictor);
  if (request.evictor) request.evictor->BeginPrompt(static_cast<int>(request.generator.prompt().size()));
  request.phase = RequestPhase::kPrompt;
  request.computed_tokens = match.length;
  request.kv_bytes = request.sequence->bytes();
  const bool first = request.queue_seconds < 0;
  if (first) {
    request.queue_seconds = base::SecondsSince(request.submitted);
    request.cached_tokens = match.length;
    request.generator.Begin(match.length);
  }
  const std::lock_guard lock(mutex);
  ShowSealed(request);
  request.admission = ++last_admission;
  if (first) {
    queue.Charge(request.submission.tenant, request.remaining());
    counters.cached_tokens += match.length;
    counters.prefix_lookups += options.prefix_cache ? 1 : 0;
    counters.prefix_hits += match.length > 0 ? 1 : 0;
  }
  running.push_back(queue.Take(&request));
}

// The weakest running request that is weaker than `request`, if any; `by_priority_alone`: that has a lower priority.
ScheduledRequest* Scheduler::Impl::WeakestBelow(const ScheduledRequest& request, bool by_priority_alone) const {
  ScheduledRequest* weakest = nullptr;
  for (const auto& other : running) {
    const bool weaker =
        by_priority_alone ? request.submission.priority > other->submission.priority : request.Outranks(*other);
    if (weaker && (weakest == nullptr || weakest->Outranks(*other))) weakest = other.get();
  }
  return weakest;
}

// Reserves slots for the next `rows` tokens of a running request, at the expense of cached blocks (the pool takes
// those) and of weaker requests if need be; for fewer tokens where it is alone and the budget is that small. False when
// the request had to give way itself, or has ended.
bool Scheduler::Impl::Extend(ScheduledRequest& request, int rows) {
  const int taken = request.taken();
  rows = std::min(rows, request.sequence->RoomInStep());
  if (request.evictor) rows = std::min(rows, request.evictor->RoomInStep(*request.sequence));
  while (true) {
    const auto next = request.generator.tokens().subspan(static_cast<size_t>(taken), static_cast<size_t>(rows));
    const Status status = request.sequence->Extend(next);
    if (status) return true;
    if (status.error().code != ErrorCode::kResourceExhausted) {
      End(request, std::unexpected(status.error()));
      return false;
    }
    if (ScheduledRequest* weaker = WeakestBelow(request, false)) {
      Preempt(*weaker);
    } else if (running.size() > 1) {
      Preempt(request);
      return false;
    } else if (rows > 1) {
      rows = (rows + 1) / 2;
    } else if (request.generator.generated() > 0) {
      End(request, FinishReason::kLength);  // the budget holds no more
      return false;
    } else {
      Preempt(request);  // sessions of the engine hold the memory
      return false;
    }
  }
}

// Evicts from the caches of running requests where it is time.
void Scheduler::Impl::EvictDue() {
  if (!engine.options.kv.evicts()) return;
  std::vector<ScheduledRequest*> requests;
  requests.reserve(running.size());
  for (const auto& request : running) requests.push_back(request.get());
  for (ScheduledRequest* request : requests) {
    if (request->sequence && request->evictor) EvictIfDue(*request);  // else it gave way to an earlier one
  }
}

// What is kept is copied before the rest is free. Where there is no memory for that, cached blocks and weaker requests
// give way, or the request itself, so that it evicts the same tokens as it would have alone.
void Scheduler::Impl::EvictIfDue(ScheduledRequest& request) {
  while (true) {
    const Status status = request.evictor->EvictIfDue(*request.sequence);
    request.kv_bytes = request.sequence->bytes();
    if (!status && status.error().code != ErrorCode::kResourceExhausted) {
      return End(request, std::unexpected(status.error()));
    }
    if (status) break;
    if (ScheduledRequest* weaker = WeakestBelow(request, false)) {
      Preempt(*weaker);
    } else if (running.size() > 1) {
      return Preempt(request);
    } else {
      break;  // alone, it goes on with what it has, and tries again after the next step
    }
  }
  if (request.sequence->length() >= engine.options.context_tokens) End(request, FinishReason::kLength);
}

// Takes the pages of a running request and queues it again.
void Scheduler::Impl::Preempt(ScheduledRequest& request) {
  DropSequence(request);
  request.computed_tokens = 0;
  request.kv_bytes = 0;
  request.phase = RequestPhase::kWaiting;
  request.passed_over = true;  // not in the round that took its memory
  ++request.preemptions;
  const std::lock_guard lock(mutex);
  request.sealed.clear();
  ++counters.preemptions;
  const auto found = std::ranges::find_if(running, [&](const auto& item) { return item.get() == &request; });
  KV_CHECK(found != running.end());
  queue.Push(std::move(*found));
  running.erase(found);
}

// Gives up a request's pages. Those of sealed blocks stay in the prefix index until their memory is needed.
void Scheduler::Impl::DropSequence(ScheduledRequest& request) {
  if (!request.sequence) return;
  prefixes.Touch(request.sequence->sealed());
  request.sequence.reset();
  request.evictor.reset();
}

}  // namespace kvasir
