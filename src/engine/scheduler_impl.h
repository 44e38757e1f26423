// What a Scheduler holds, shared by its files: scheduler.cc (the API), scheduler_loop.cc (the thread and its steps),
// admission.cc (who may start, and who must give way), prefix_sharing.cc (where a request starts from).
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/engine_impl.h"
#include "engine/request_queue.h"
#include "engine/scheduled_request.h"
#include "engine/step_pace.h"
#include "kvasir/scheduler.h"
#include "kvcache/prefix_index.h"

namespace kvasir {

/// The lists of requests change under `mutex` only, and only the scheduler's thread changes `running` and takes from
/// `queue`; so that thread reads both without the mutex. Callbacks run without it.
struct Scheduler::Impl {
  Impl(Engine::Impl& engine, const SchedulerOptions& options);

  // scheduler.cc: any thread.
  [[nodiscard]] Status CheckSubmission(const Submission& submission) const;
  [[nodiscard]] Status CheckPlace(const std::string& tenant) const;
  [[nodiscard]] Result<RequestId> Submit(Submission submission);
  bool Cancel(RequestId id);
  void CancelAll();
  void AbandonStepIfUnwanted();
  [[nodiscard]] SchedulerStats Stats() const;
  [[nodiscard]] CacheMap Cache(int max_segments) const;
  [[nodiscard]] RequestView ViewOf(const ScheduledRequest& request) const;

  // scheduler_loop.cc: the scheduler's thread.
  void Loop();
  [[nodiscard]] bool WaitForWork();
  void EndUnwanted();
  [[nodiscard]] std::vector<ScheduledRequest*> PlanStep();
  [[nodiscard]] Status ComputeStep(std::span<ScheduledRequest* const> step);
  void Advance(ScheduledRequest& request);
  void ShowSealed(ScheduledRequest& request) const;
  void End(ScheduledRequest& request, Result<FinishReason> reason);
  void Conclude(std::unique_ptr<ScheduledRequest> request, Result<FinishReason> reason);

  // admission.cc: the scheduler's thread.
  void Admit();
  [[nodiscard]] bool TryAdmit(ScheduledRequest& request);
  [[nodiscard]] bool MakeRoom(const ScheduledRequest& request, size_t bytes);
  [[nodiscard]] bool EndIfTooLarge(ScheduledRequest& request);
  void Start(ScheduledRequest& request, const kvcache::PrefixMatch& match, std::unique_ptr<CacheEvictor> evictor);
  [[nodiscard]] size_t PromisedBytes() const;
  [[nodiscard]] size_t BytesToReach(const ScheduledRequest& request, int64_t held_blocks, int step) const;
  [[nodiscard]] int MostHeldBy(const Generator& generator) const;
  [[nodiscard]] size_t RecordBytesOf(const Generator& generator) const;
  [[nodiscard]] bool Extend(ScheduledRequest& request, int rows);
  [[nodiscard]] ScheduledRequest* WeakestBelow(const ScheduledRequest& request, bool by_priority_alone) const;
  void EvictDue();
  void EvictIfDue(ScheduledRequest& request);
  void Preempt(ScheduledRequest& request);
  void DropSequence(ScheduledRequest& request);

  // prefix_sharing.cc: the scheduler's thread.
  [[nodiscard]] int Reusable(const ScheduledRequest& request) const;
  [[nodiscard]] kvcache::PrefixMatch FindPrefix(ScheduledRequest& request);
  [[nodiscard]] bool IsBeingComputed(ScheduledRequest& request, const kvcache::PrefixMatch& match);
  [[nodiscard]] bool StillBeingComputed(const ScheduledRequest& request) const;
  [[nodiscard]] CacheReport Explain(const ScheduledRequest& request, const kvcache::PrefixMatch& match) const;

  Engine::Impl& engine;
  const SchedulerOptions options;
  StepPace pace;
  kvcache::PrefixIndex prefixes;  // outlives the sequences of all requests

  mutable std::mutex mutex;
  std::condition_variable work;  // something was submitted or cancelled, or is to stop
  std::condition_variable idle;  // `open` has become 0
  RequestQueue queue;
  std::vector<std::unique_ptr<ScheduledRequest>> running;  // in order of admission
  std::unordered_map<RequestId, ScheduledRequest*> by_id;  // of both lists
  bool accepting = true;
  bool stopping = false;
  int64_t open = 0;  // accepted requests whose on_done has not returned
  RequestId last_id = 0;
  int64_t last_admission = 0;
  SchedulerStats counters;                // its counters only; Stats fills in the rest
  std::atomic<bool> step_cancel = false;  // nobody wants the step in progress any more

  std::thread thread;
};

}  // namespace kvasir
