// What a sequence's eviction policy wants to know of its attention, recorded while the model runs.
//
// A record belongs to one sequence and sees its rows through the probe of each step. It holds what
// kvcache::EvictionNeeds asks for and nothing else, of layers without a window only. Rows are added one by one in
// order, so a record does not depend on how a prompt was cut into steps; a step that was given up leaves it dirty, and
// the sequence has then to be computed anew.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kvcache/eviction_driver.h"
#include "ops/attention_probe.h"
#include "ops/operators.h"

namespace kvasir {

class AttentionRecord final : public kvcache::EvictionRecords {
 public:
  /// `traits`, `pool` and `compact`, the store of the sequence's compact pages if there are any, must outlive it.
  AttentionRecord(const kvcache::KvShape& shape, const kvcache::EvictionNeeds& needs,
                  const kvcache::AttentionTraits& traits, base::ThreadPool& pool,
                  const kvcache::CompactStore* compact = nullptr);

  /// Adds the rows of one sequence in one layer. On the thread of the forward pass.
  void OnRows(const ops::SequenceRows& rows, std::span<const int32_t> positions, const ops::AttentionSpec& spec,
              const float* q);
  /// The step is complete.
  void Commit() { dirty_ = false; }
  /// Whether a step was begun and not completed.
  [[nodiscard]] bool dirty() const { return dirty_; }

  /// The sequence was rewound to its first tokens, of which `held[layer * KVH + head]` are left. The queries of later
  /// rows are forgotten; what sums had taken from them stays.
  void Rewind(int32_t length, std::span<const int> held);
  /// The sequence is empty.
  void Reset();
  /// This record is of a fork of the sequence that `seen` has seen, which recorded at least what is wanted here.
  void TakeOver(const AttentionRecord& seen);

  [[nodiscard]] kvcache::HeadRecord Read(int layer, int kv_head) override;
  void Keep(int layer, std::span<const int> candidates, std::span<const std::vector<int32_t>> kept) override;

  /// What it takes now.
  [[nodiscard]] size_t bytes() const;
  /// What a record of `needs` takes at most while no head holds more than `tokens` tokens. `heads`: of queries.
  [[nodiscard]] static size_t MostBytes(const kvcache::KvShape& shape, const kvcache::EvictionNeeds& needs, int heads,
                                        int64_t tokens);

 private:
  // Of one layer without a window.
  struct Layer {
    std::vector<int32_t> query_positions;        // ascending, at most window_queries
    std::vector<std::vector<float>> queries;     // [KVH][W, G, D]
    std::vector<std::vector<float>> mass;        // [KVH][n]
    std::vector<std::vector<float>> origin;      // [H][D] the first query: sums are of differences from it
    std::vector<std::vector<float>> sum;         // [H][D]
    std::vector<std::vector<float>> square;      // [H][D, D] the upper triangle, in whole rows of 16
    int64_t counted = 0;                         // rows in the sums
    std::vector<std::vector<float>> mean;        // [KVH][G, D], made by Read
    std::vector<std::vector<float>> covariance;  // [KVH][G, D, D]
  };

  void RecordQueries(Layer& layer, const ops::SequenceRows& rows, std::span<const int32_t> positions, const float* q);
  void AddMass(Layer& layer, const ops::SequenceRows& rows, std::span<const int32_t> positions,
               const ops::AttentionSpec& spec, int kv_head, const float* q) const;
  void AddStatistics(Layer& layer, const ops::SequenceRows& rows, std::span<const int32_t> positions,
                     const ops::AttentionSpec& spec, const float* q) const;
  void MakeStatistics(Layer& layer, int kv_head) const;

  [[nodiscard]] size_t group() const { return static_cast<size_t>(traits_.heads / shape_.kv_heads); }

  kvcache::KvShape shape_;
  kvcache::EvictionNeeds needs_;
  const kvcache::AttentionTraits& traits_;
  base::ThreadPool& pool_;
  const kvcache::CompactStore* compact_;
  std::vector<Layer> layers_;  // [L]
  bool dirty_ = false;
};

}  // namespace kvasir
