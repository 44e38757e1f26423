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
  Histogram prompt_tokens;
  Histogram generated_tokens;

  void CountHttp(std::string_view route, int status);
  void CountFinished(std::string_view reason);
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
  std::atomic<uint64_t> client_left_{0};
};

/// What a queue of embeddings has done, as kvasir_embedding_*.
void AppendEmbeddingMetrics(std::string& out, const EmbeddingStats& stats, std::string_view model);

}  // namespace kvasir::server
