// Attention weights written out: what the attention kernels never form, and eviction policies ask for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernels.h"
#include "kvcache/eviction_policy.h"

namespace kvasir::kvcache {

/// The inner product of two vectors of n floats, n a multiple of 16.
[[nodiscard]] float Dot(const float* a, const float* b, int n);

/// A matrix [n, D], D a multiple of 16, laid out for products with many vectors.
class DenseRows {
 public:
  DenseRows(std::span<const float> rows, int d);
  /// out[b, i] = x[b] . rows[i], for x [B, D] and out [B, n].
  void Times(std::span<const float> x, std::span<float> out) const;

 private:
  int64_t n_;
  int d_;
  std::vector<float> panels_;
};

/// How much each of `queries` [B, D] at `query_positions` [B] attends to the keys at `key_positions` [n] (ascending):
/// weights [B, n], zero where a key is behind the query. A query that sees no key has only zeros.
void AttentionWeights(const DenseRows& keys, std::span<const int32_t> key_positions, std::span<const float> queries,
                      std::span<const int32_t> query_positions, float scale, float softcap, std::span<float> weights);

/// The attention that the queries of `head` from the `first`-th on pay to the first scores.size() tokens, averaged over
/// these queries and the group. Zero where there is no query.
void MeanAttention(const HeadEvidence& head, size_t first, std::span<float> scores);

}  // namespace kvasir::kvcache
