/// @file
/// The scheduler: many requests at once over one engine.
///
///     auto engine = kvasir::Engine::Load({.model = "smollm2", .kv_budget_bytes = 1 << 30});
///     auto scheduler = kvasir::Scheduler::Create(**engine);
///     auto id = (*scheduler)->Submit({.request = {.prompt = tokens, .on_token = Show}, .on_done = Finish});
///
/// One thread computes all requests together, a token of each per step ("continuous batching"), and long prompts in
/// pieces beside them. What a request gets does not depend on the others: the same tokens as alone in a Session, bit
/// for bit, for the same seed.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/engine.h"
#include "kvasir/result.h"

namespace kvasir {

/// Names a request for as long as its scheduler lives; never 0.
using RequestId = uint64_t;

/// Memory for keys and values is the engine's, EngineOptions::kv_budget_bytes: by default what one whole context needs,
/// which many requests can share, but more lets more of them run and more be kept.
struct SchedulerOptions {
  /// Requests that are computed together at most, 1 to 512. Further ones wait.
  int max_running = 64;
  /// Requests that may wait; one more is refused with kResourceExhausted. Of a tenant with a name only so many that a
  /// third as many places are left for others: QueueHasPlace.
  int max_waiting = 512;
  /// The time between two tokens of a stream that prompts may cause: they are computed in pieces that fit. 0: no
  /// target, prompts are computed in pieces of 512 tokens.
  double itl_target_ms = 100;
  /// Keep computed prompts while there is memory, and start a request from the longest beginning that is held.
  bool prefix_cache = true;
  /// One in so many requests is checked: of four heads, keys and values are kept as f32 as well (4 * 2 * 4 bytes per
  /// feature and token, beside the budget), and every eighth generated token is compared with exact attention over
  /// them. Such a request is computed from its first token on. 0: none.
  int shadow_check_every = 0;
};

/// Whether a queue of `places` in which `waiting` requests wait, `own` of them of `tenant`, takes one more of them.
/// Those of a tenant with a name may be at most three times as many as the places that are then left: one that floods
/// the queue fills three quarters of it, two leave a seventh, and the last place is always for a tenant that has none.
/// A tenant's first request needs a free place only, and so do requests without a tenant, who share nothing with
/// others.
[[nodiscard]] bool QueueHasPlace(std::string_view tenant, int own, int waiting, int places);
/// How many requests of `tenant` an empty queue takes.
[[nodiscard]] int QueuePlacesOf(std::string_view tenant, int places);

/// Why the part of a prompt that was found in the cache ends where it ends.
enum class CacheMiss {
  kNone,            ///< All of the prompt was held; its last token is always computed.
  kDisabled,        ///< SchedulerOptions::prefix_cache is off.
  kPromptLogprobs,  ///< Request::prompt_logprobs needs the computation itself.
  kDiverged,        ///< A held text begins alike and differs at this token.
  kNotHeld,         ///< Nothing held goes on here: never computed under this tenant and salt, or evicted.
  kEviction,        ///< The eviction policy has to see the computation of what follows.
  kShadowCheck,     ///< The request is checked against exact attention, which needs all keys and values.
  kNoMemory,        ///< A beginning was held, but using it would not have left the memory to go on.
};
/// In words, for example "not held".
[[nodiscard]] std::string_view CacheMissName(CacheMiss miss);

/// Where and why the match with the cache ended.
struct CacheReport {
  int matched_tokens = 0;  ///< = Generation::cached_tokens: the first token that was computed is this one.
  CacheMiss reason = CacheMiss::kNotHeld;  ///< Why there, when it was first admitted.
};

/// The end of a request: what a Session would have returned, and what scheduling did to it.
struct Completion {
  Generation generation;     ///< The text and what it cost.
  CacheReport cache;         ///< What of its prompt was taken from the prefix cache.
  double queue_seconds = 0;  ///< From Submit until it was first computed.
  int preemptions = 0;       ///< How often its memory was taken and its tokens were computed again.
};

/// A request and how it is to be treated.
struct Submission {
  /// As for Session::Generate, except: its callbacks are called on the scheduler's thread, and ContextFull::kShift is
  /// refused, because a shifted context could not be computed again after a preemption.
  Request request;
  /// Who asks, for example an API key. Tenants take turns in the queue, share its places (QueueHasPlace), and share no
  /// cached content.
  std::string tenant;
  /// Cached content is shared only between requests of a tenant with the same salt.
  std::string cache_salt;
  /// Higher ones are admitted first; when memory is short, lower ones are preempted.
  int priority = 0;
  /// After so much time since Submit the request ends with FinishReason::kDeadline and the text it has. 0: never.
  std::chrono::milliseconds timeout{0};
  /// Shown in SchedulerStats.
  std::string label;
  /// Called exactly once for each accepted submission, on the scheduler's thread, after the last other callback.
  std::function<void(Result<Completion>)> on_done;
};

/// What an accepted request is doing.
enum class RequestPhase {
  kWaiting,     ///< In the queue: new, or preempted.
  kPrompt,      ///< Its prompt is being computed.
  kGenerating,  ///< It produces tokens.
};
/// In a word, for example "waiting".
[[nodiscard]] std::string_view RequestPhaseName(RequestPhase phase);

/// One request, as an observer sees it.
struct RequestView {
  RequestId id = 0;                             ///< As Submit gave it.
  std::string label;                            ///< Submission::label.
  std::string tenant;                           ///< Submission::tenant.
  int priority = 0;                             ///< Submission::priority.
  RequestPhase phase = RequestPhase::kWaiting;  ///< Now.
  int prompt_tokens = 0;                        ///< All of its prompt.
  int cached_tokens = 0;                        ///< Of them, taken from the prefix cache when it was first admitted.
  int computed_tokens = 0;                      ///< Tokens in its cache now, those from the prefix cache included.
  int generated_tokens = 0;                     ///< So far.
  int preemptions = 0;                          ///< So far.
  size_t kv_bytes = 0;                          ///< Pages it refers to, shared ones included.
  double age_seconds = 0;                       ///< Since Submit.
};

/// What checks against exact attention have found; see SchedulerOptions::shadow_check_every. A distance is that of a
/// head's result for a token from what exact attention gives, |a - b| / |b|.
struct ShadowStats {
  /// Upper bounds of the distances that are counted together, ascending.
  static constexpr std::array<double, 9> kBounds = {0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1};
  int64_t requests = 0;                                      ///< Requests that were checked or are.
  std::array<int64_t, kBounds.size() + 1> comparisons = {};  ///< With a distance up to each bound, and above the last.
  double distance_sum = 0;                                   ///< Of all comparisons; over their number it is the mean.
};

/// How many tokens were computed together.
struct StepStats {
  /// Upper bounds of the numbers of tokens that are counted together, ascending.
  static constexpr std::array<double, 11> kBounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
  std::array<int64_t, kBounds.size() + 1> steps = {};  ///< Steps of up to each bound, and above the last.
  int64_t tokens = 0;                                  ///< Of all steps.
};

/// What a scheduler is doing and has done. Counters only grow.
struct SchedulerStats {
  int running = 0;                    ///< Requests that have pages: now.
  int waiting = 0;                    ///< In the queue, now.
  int64_t accepted = 0;               ///< Submissions taken.
  int64_t refused = 0;                ///< Submissions refused because the queue was full.
  int64_t completed = 0;              ///< Ended by themselves: stop or length.
  int64_t cancelled = 0;              ///< Ended by a cancellation or a deadline.
  int64_t failed = 0;                 ///< Ended with an error.
  int64_t steps = 0;                  ///< Forward passes, failed and cancelled ones included.
  int64_t prompt_tokens = 0;          ///< Computed; not those from the cache, nor those computed again.
  int64_t generated_tokens = 0;       ///< By all requests.
  int64_t cached_tokens = 0;          ///< Of prompts, taken from the cache.
  int64_t recomputed_tokens = 0;      ///< Computed again after a preemption.
  int64_t preemptions = 0;            ///< Times that a request lost its pages.
  int64_t prefix_lookups = 0;         ///< Requests that were admitted, where the prefix cache is on.
  int64_t prefix_hits = 0;            ///< Lookups that found at least one token.
  int64_t evicted_blocks = 0;         ///< Blocks of 64 tokens that the prefix cache gave up for memory.
  size_t kv_budget_bytes = 0;         ///< What kv_bytes and kv_record_bytes together never exceed.
  size_t kv_record_bytes = 0;         ///< Set aside for what eviction policies record.
  size_t kv_bytes = 0;                ///< Live pages of the engine, those of its sessions included.
  size_t kv_shared_bytes = 0;         ///< Of those, in use by two or more running requests.
  size_t kv_cached_bytes = 0;         ///< Of those, held for reuse only; given up when memory is needed.
  ShadowStats shadow;                 ///< Of SchedulerOptions::shadow_check_every.
  StepStats step_tokens;              ///< Of the steps that were computed to their end.
  double last_step_ms = 0;            ///< The duration of the last forward pass, waiting for its turn included.
  int prompt_chunk_tokens = 0;        ///< Rows that a step beside running streams now leaves to prompts.
  std::vector<RequestView> requests;  ///< The running ones, then the waiting ones.
};

/// A piece of cached text: blocks one behind the other that the same requests use, up to where texts part.
struct CacheSegment {
  int64_t id = 0;       ///< Its own as long as its first block is held; never 0.
  int64_t parent = 0;   ///< The segment that it continues; 0: it begins a text.
  int first_token = 0;  ///< Position of its first token in the text.
  int tokens = 0;       ///< A multiple of the block's 64.
  size_t bytes = 0;     ///< Its pages, each once, however many requests read it.
  /// The running requests that read it, in ascending order; empty: it is kept for reuse only.
  std::vector<RequestId> requests;
};

/// Where a running request stands in the cache.
struct CacheTail {
  RequestId id = 0;     ///< The request.
  int64_t segment = 0;  ///< The last segment of its text; 0: none of it is held.
  int tokens = 0;       ///< Computed tokens behind that segment, in pages of its own.
};

/// What the prefix cache holds and who reads it, for people who look. Ids say nothing about the content.
struct CacheMap {
  /// In use first, then those used last; a segment stands behind its parent.
  std::vector<CacheSegment> segments;
  std::vector<CacheTail> requests;  ///< All running requests.
  int left_out_segments = 0;        ///< Of those used longest ago, more than the limit.
  size_t left_out_bytes = 0;        ///< Their pages.
};

/// Computes many requests together. All functions are thread-safe, and those not marked otherwise may be called from
/// callbacks. Callbacks run on the one thread that computes: what they do delays every request, so they must hand over
/// and return; a client that reads slowly needs a buffer, not a callback that waits.
class Scheduler {
 public:
  /// `engine` must outlive the scheduler. Errors: options out of range.
  [[nodiscard]] static Result<std::unique_ptr<Scheduler>> Create(Engine& engine, const SchedulerOptions& options = {});
  /// Stops.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Queues a request; returns at once. Errors, after which no callback comes: kInvalidArgument for whatever
  /// Session::Generate refuses (a prompt longer than the context: both numbers are named) and for a prompt whose pages
  /// exceed the whole budget; kUnsupported for ContextFull::kShift; kResourceExhausted when the queue is full, or has
  /// no more places for this tenant; kCancelled after Drain or Stop.
  [[nodiscard]] Result<RequestId> Submit(Submission submission);

  /// Ends a request with FinishReason::kCancelled, at the latest after the step in progress. False when there is no
  /// such request, for example because it has just ended.
  bool Cancel(RequestId id);

  /// Submits and waits. Not from callbacks. Errors: as Submit's and Session::Generate's.
  [[nodiscard]] Result<Completion> Run(Submission submission);

  /// A snapshot. Costs time in proportion to the requests; waits for no step.
  [[nodiscard]] SchedulerStats Stats() const;

  /// At most `max_segments` pieces of the cache. Costs time in proportion to the blocks held.
  [[nodiscard]] CacheMap Cache(int max_segments) const;

  /// Accepts nothing more and waits until all accepted requests have ended; at most `timeout`, then false. Not from
  /// callbacks.
  bool Drain(std::chrono::milliseconds timeout);
  /// Accepts nothing more, cancels what there is, and waits for the last callback. Not from callbacks.
  void Stop();

  /// As they were given to Create. Valid as long as this lives.
  [[nodiscard]] const SchedulerOptions& options() const;

 private:
  struct Impl;
  explicit Scheduler(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvasir
