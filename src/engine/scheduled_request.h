// A request inside the scheduler.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/cache_evictor.h"
#include "engine/generator.h"
#include "engine/shadow_check.h"
#include "kvasir/scheduler.h"
#include "kvcache/kv_sequence.h"

namespace kvasir {

using SchedulerClock = std::chrono::steady_clock;

/// Owned by the queue or by the list of running requests. Plain members belong to the scheduler's thread once the
/// request is queued, or never change; the atomic ones are read by Stats and Cancel under the scheduler's mutex, which
/// keeps the object alive.
struct ScheduledRequest {
  ScheduledRequest(RequestId id, Submission given, Generator made)
      : id(id), submission(std::move(given)), generator(std::move(made)) {
    if (submission.timeout.count() > 0) deadline = submitted + submission.timeout;
  }

  [[nodiscard]] bool IsCancelled() const {
    const std::atomic<bool>* flag = generator.request().cancel;
    return cancelled.load(std::memory_order_relaxed) || (flag != nullptr && flag->load(std::memory_order_relaxed));
  }
  /// Tokens of the text that its sequence does not count any more.
  [[nodiscard]] int dropped() const { return evictor ? evictor->dropped() : 0; }
  /// Tokens of the text that have a place in the sequence, or had one. While running.
  [[nodiscard]] int taken() const { return sequence->length() + dropped(); }
  /// Tokens that are yet to be computed before the next one can be chosen.
  [[nodiscard]] int remaining() const { return static_cast<int>(generator.tokens().size()) - (sequence ? taken() : 0); }
  /// Whether this request may take the memory of `other`.
  [[nodiscard]] bool Outranks(const ScheduledRequest& other) const {
    return submission.priority != other.submission.priority ? submission.priority > other.submission.priority
                                                            : admission < other.admission;
  }

  const RequestId id;
  const Submission submission;  // without its request, which the generator has
  Generator generator;
  std::optional<kvcache::KvSequence> sequence;  // while running
  std::unique_ptr<CacheEvictor> evictor;        // while running, where the cache is evicted from
  std::unique_ptr<ShadowCheck> shadow;          // where its attention is checked
  const SchedulerClock::time_point submitted = SchedulerClock::now();
  SchedulerClock::time_point deadline = SchedulerClock::time_point::max();
  double queue_seconds = -1;  // until it was first admitted
  int64_t admission = 0;      // counts admissions; the latest has the highest
  int highest_computed = 0;   // tokens beyond this were never computed before
  CacheReport cache;
  bool passed_over = false;  // in the present round of admission

  // Sealed blocks of its sequence, for observers. Under the scheduler's mutex.
  std::vector<kvcache::BlockHash> sealed;

  // Prefix sharing.
  kvcache::KvOptions kv_options;                 // with the salt of its tenant
  std::vector<kvcache::BlockHash> block_hashes;  // of the full blocks of its tokens, as of its last attempt to start
  RequestId computes_for_us = 0;                 // a running request that computes our block ...
  size_t awaited_block = 0;                      // ... of this number

  std::atomic<bool> cancelled = false;
  std::atomic<bool> in_step = false;
  std::atomic<RequestPhase> phase = RequestPhase::kWaiting;
  std::atomic<int> cached_tokens = 0;
  std::atomic<int> computed_tokens = 0;
  std::atomic<int> generated_tokens = 0;
  std::atomic<int> preemptions = 0;
  std::atomic<size_t> kv_bytes = 0;
};

}  // namespace kvasir
