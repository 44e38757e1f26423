#include "server/embedding_queue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/check.h"
#include "base/seconds_since.h"
#include "kvasir/scheduler.h"

namespace kvasir::server {
namespace {

// Tokens of a batch, beyond which no further text joins it: products run near their best, and the wait is short.
constexpr size_t kBatchTokens = 256;

std::string Base64(std::span<const unsigned char> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '\0');
  // Writes a 0 behind the text, where the string has one as well.
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  return text;
}

}  // namespace

std::string WriteVector(std::span<const float> vector, VectorEncoding encoding) {
  if (encoding == VectorEncoding::kFloats) return fmt::format("[{}]", fmt::join(vector, ","));
  std::vector<unsigned char> bytes(vector.size_bytes());
  std::memcpy(bytes.data(), vector.data(), bytes.size());
  return "\"" + Base64(bytes) + "\"";
}

EmbeddingJob::EmbeddingJob(std::vector<std::vector<int32_t>> texts, VectorEncoding encoding, std::string tenant)
    : texts_(std::move(texts)), encoding_(encoding), tenant_(std::move(tenant)), vectors_(texts_.size()) {
  for (const std::vector<int32_t>& text : texts_) tokens_ += static_cast<int64_t>(text.size());
}

void EmbeddingJob::OnFinished(std::function<void()> wake) {
  {
    const std::lock_guard lock(mutex_);
    if (!finished_) {
      wake_ = std::move(wake);
      return;
    }
  }
  wake();
}

bool EmbeddingJob::finished() const {
  const std::lock_guard lock(mutex_);
  return finished_;
}

void EmbeddingJob::Finish(std::optional<Error> error) {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    finished_ = true;
    wake = std::move(wake_);
  }
  if (wake) wake();
}

EmbeddingQueue::EmbeddingQueue(Embedder& embedder, int max_waiting)
    : embedder_(embedder), max_waiting_(max_waiting), thread_([this] { Run(); }) {}

ApiStatus EmbeddingQueue::Submit(const std::shared_ptr<EmbeddingJob>& job) {
  KV_CHECK(job->texts() > 0);
  const std::lock_guard lock(mutex_);
  if (stopping_) return Refuse(503, "the server is stopping", "cancelled");
  int& own = waiting_of_[job->tenant_];
  if (!QueueHasPlace(job->tenant_, own, stats_.waiting, max_waiting_)) {
    ++stats_.refused;
    const std::string whose = job->tenant_.empty() ? "" : fmt::format(", {} of them with this API key", own);
    return std::unexpected(QueueFull(
        fmt::format(
            "{} requests for embeddings wait{}, and the queue holds {}, each key's share of which is bounded; try "
            "again later",
            stats_.waiting, whose, max_waiting_),
        pace_.SecondsFor(stats_.waiting)));
  }
  ++own;
  ++stats_.waiting;
  ++stats_.accepted;
  jobs_.push_back(job);
  changed_.notify_one();
  return {};
}

void EmbeddingQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

EmbeddingStats EmbeddingQueue::Stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void EmbeddingQueue::Run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
      if (stopping_) break;
    }
    DropCancelled();
    const Batch batch = TakeBatch();
    if (!batch.texts.empty()) Compute(batch);
  }
  std::deque<std::shared_ptr<EmbeddingJob>> rest;
  {
    const std::lock_guard lock(mutex_);
    rest.swap(jobs_);
  }
  for (const auto& job : rest) Finish(*job, Error{ErrorCode::kCancelled, "the server stopped"});
}

// A client that has left is not waited for, but its request still counts until here.
void EmbeddingQueue::DropCancelled() {
  std::vector<std::shared_ptr<EmbeddingJob>> gone;
  {
    const std::lock_guard lock(mutex_);
    const auto kept = std::ranges::stable_partition(jobs_, [](const auto& job) { return !job->cancelled_.load(); });
    gone.assign(kept.begin(), kept.end());
    jobs_.erase(kept.begin(), kept.end());
  }
  for (const auto& job : gone) Finish(*job, Error{ErrorCode::kCancelled, "the client left"});
}

// A text of each job in turn, until the batch is full.
EmbeddingQueue::Batch EmbeddingQueue::TakeBatch() {
  Batch batch;
  size_t tokens = 0;
  const std::lock_guard lock(mutex_);
  while (!jobs_.empty()) {
    const std::shared_ptr<EmbeddingJob> job = jobs_.front();
    const std::vector<int32_t>& text = job->texts_[job->taken_];
    if (!batch.texts.empty() && tokens + text.size() > kBatchTokens) break;
    tokens += text.size();
    batch.owners.push_back(job);
    batch.numbers.push_back(job->taken_++);
    batch.texts.push_back(text);
    jobs_.pop_front();
    if (job->taken_ < job->texts()) jobs_.push_back(job);
  }
  return batch;
}

void EmbeddingQueue::Compute(const Batch& batch) {
  const auto start = std::chrono::steady_clock::now();
  // A text alone, which may be long, ends early when its client leaves; a batch of several is short anyway.
  const std::atomic<bool>* cancel = batch.texts.size() == 1 ? &batch.owners.front()->cancelled_ : nullptr;
  const auto vectors = embedder_.Embed(batch.texts, cancel);
  {
    const std::lock_guard lock(mutex_);
    ++stats_.batches;
    stats_.seconds += base::SecondsSince(start);
    if (vectors) stats_.texts += batch.texts.size();
    for (const std::vector<int32_t>& text : batch.texts) stats_.tokens += vectors ? text.size() : 0;
    if (!vectors) {
      std::erase_if(jobs_, [&](const auto& job) { return std::ranges::count(batch.owners, job) > 0; });
    }
  }
  for (size_t i = 0; i < batch.texts.size(); ++i) {
    EmbeddingJob& job = *batch.owners[i];
    if (!vectors) {
      if (!job.finished()) Finish(job, vectors.error());
      continue;
    }
    job.vectors_[batch.numbers[i]] = WriteVector((*vectors)[i], job.encoding_);
    if (++job.done_ == job.texts()) Finish(job, std::nullopt);
  }
}

void EmbeddingQueue::Finish(EmbeddingJob& job, std::optional<Error> error) {
  {
    const std::lock_guard lock(mutex_);
    --stats_.waiting;
    const auto own = waiting_of_.find(job.tenant_);
    if (--own->second == 0) waiting_of_.erase(own);
    if (!error) pace_.Finished(base::SecondsSince(job.start_));
    if (error) ++(error->code == ErrorCode::kCancelled ? stats_.cancelled : stats_.failed);
  }
  job.Finish(std::move(error));
}

}  // namespace kvasir::server
