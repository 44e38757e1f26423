// What the server counts, in Prometheus' text format.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvasir/scheduler.h"
#include "server/embedding_queue.h"
#include "server/finish_pace.h"

namespace kvasir::server {

/// Counts of values by size. Thread-safe; Observe takes no lock.
class Histogram {
 public:
  explicit Histogram(std::span<const double> upper_bounds);
  void Observe(double value);
  /// The lines of one histogram: NAME_bucket{LABELS,le="..."}, NAME_sum, NAME_count.
  void Write(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<uint64_t>> counts_;  // one more than bounds_: the last is unbounded
  std::atomic<double> sum_{0};
};

/// Everything /metrics shows. Thread-safe.
class Metrics {
 public:
  Metrics();

  Histogram time_to_first_token;
  Histogram inter_token;
  Histogram end_to_end;
  Histogram queue;
  Histogram prefill;
  Histogram decode;
  Histogram inference;  ///< Prompt and answer.
  Histogram prompt_tokens;
  Histogram generated_tokens;
  Histogram longest_answer;  ///< Of those to one prompt.
  Histogram choices;         ///< That requests want of a prompt.
  Histogram max_tokens;      ///< That requests allow.

  void CountHttp(std::string_view route, int status);
  void CountFinished(std::string_view reason);
  /// A request has ended that took `seconds`, its time in the queue included.
  void CountPace(double seconds);
  /// In about how many seconds so many requests will have ended, at the pace of the last ones: 1 to 60.
  [[nodiscard]] int SecondsUntilFinished(int requests) const;
  void CountClientLeft() { client_left_.fetch_add(1, std::memory_order_relaxed); }

  /// The text, without what AppendEmbeddingMetrics adds. `stats` is null while the model loads and where there is none.
  /// With `aliases`, what vLLM calls the same things follows, for dashboards and routers that know only those names.
  [[nodiscard]] std::string Text(const SchedulerStats* stats, std::string_view model, int connections, bool aliases,
                                 bool ready) const;

 private:
  void WriteHistograms(std::string& out, std::string_view model, bool aliases) const;

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> http_;
  std::map<std::string, uint64_t> finished_;
  FinishPace pace_;
  std::atomic<uint64_t> client_left_{0};
};

/// What is known of a loaded model.
struct ModelFacts {
  size_t weight_bytes = 0;
  int block_tokens = 0;     ///< The cache is shared and given back in blocks of so many.
  size_t cache_blocks = 0;  ///< That the cache holds, of a request of full length.
  std::string kv;           ///< How keys and values are stored.
  bool prefix_cache = false;
};
/// `facts` as kvasir_weights_bytes, and with `aliases` as vLLM's vllm:cache_config_info.
void AppendModelMetrics(std::string& out, const ModelFacts& facts, std::string_view model, bool aliases);

/// What a queue of embeddings has done, as kvasir_embedding_*.
void AppendEmbeddingMetrics(std::string& out, const EmbeddingStats& stats, std::string_view model);

}  // namespace kvasir::server
