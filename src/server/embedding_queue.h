// Texts on their way to vectors: a bounded queue before an embedder, and the thread that empties it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kvasir/embedding.h"
#include "server/api_error.h"
#include "server/finish_pace.h"

namespace kvasir::server {

/// How a vector is written into the answer.
enum class VectorEncoding { kFloats, kBase64 };

/// "[0.1,-0.2]", or the little-endian f32 in base64, in quotes.
[[nodiscard]] std::string WriteVector(std::span<const float> vector, VectorEncoding encoding);

/// The texts of one request, as tokens, and what became of them. Thread-safe.
class EmbeddingJob {
 public:
  /// `tenant`: who asks; empty where there are no keys.
  EmbeddingJob(std::vector<std::vector<int32_t>> texts, VectorEncoding encoding, std::string tenant = "");

  /// `wake` is called once when the job is finished, on the queue's thread, or at once.
  void OnFinished(std::function<void()> wake);
  /// Nobody waits for the vectors any more: texts that are not being computed are dropped.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }

  [[nodiscard]] bool finished() const;
  /// Why it failed, if it did; after it finished.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  /// A written vector per text, in order; after it finished without an error.
  [[nodiscard]] const std::vector<std::string>& vectors() const { return vectors_; }
  [[nodiscard]] size_t texts() const { return texts_.size(); }
  [[nodiscard]] int64_t tokens() const { return tokens_; }

 private:
  friend class EmbeddingQueue;
  void Finish(std::optional<Error> error);

  const std::vector<std::vector<int32_t>> texts_;
  const VectorEncoding encoding_;
  const std::string tenant_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int64_t tokens_ = 0;
  std::atomic<bool> cancelled_ = false;
  size_t taken_ = 0;  // texts that are computed, or being computed; the queue's thread alone
  size_t done_ = 0;   // the same
  std::optional<Error> error_;
  std::vector<std::string> vectors_;

  mutable std::mutex mutex_;
  bool finished_ = false;
  std::function<void()> wake_;
};

/// What a queue has done since it was made.
struct EmbeddingStats {
  int waiting = 0;  ///< Requests that are not finished.
  uint64_t accepted = 0;
  uint64_t refused = 0;
  uint64_t cancelled = 0;
  uint64_t failed = 0;
  uint64_t texts = 0;
  uint64_t tokens = 0;
  uint64_t batches = 0;
  double seconds = 0;  ///< In batches.
};

/// Computes jobs on a thread of its own, small batches of texts at a time. Jobs share a batch and take turns, a text
/// each, so that one with two thousand texts does not hold up one with a single text.
class EmbeddingQueue {
 public:
  /// At most `max_waiting` requests at a time, of one tenant as many as QueueHasPlace says. `embedder` must outlive the
  /// queue.
  EmbeddingQueue(Embedder& embedder, int max_waiting);
  ~EmbeddingQueue() { Stop(); }
  EmbeddingQueue(const EmbeddingQueue&) = delete;
  EmbeddingQueue& operator=(const EmbeddingQueue&) = delete;

  /// 429 when the queue has no place for this tenant, 503 when it was stopped. The texts have passed Embedder::Check.
  [[nodiscard]] ApiStatus Submit(const std::shared_ptr<EmbeddingJob>& job);
  /// Fails what waits, and returns when the batch under way is computed.
  void Stop();
  [[nodiscard]] EmbeddingStats Stats() const;

 private:
  // The texts of a batch, and whose they are.
  struct Batch {
    std::vector<std::shared_ptr<EmbeddingJob>> owners;  // of each text
    std::vector<size_t> numbers;                        // of each text within its job
    std::vector<std::vector<int32_t>> texts;
  };

  void Run();
  void DropCancelled();
  Batch TakeBatch();
  void Compute(const Batch& batch);
  void Finish(EmbeddingJob& job, std::optional<Error> error);

  Embedder& embedder_;
  const int max_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<EmbeddingJob>> jobs_;  // with texts that are not taken; the next to take from first
  EmbeddingStats stats_;
  std::map<std::string, int> waiting_of_;  // unfinished requests of each tenant that has some
  FinishPace pace_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kvasir::server
