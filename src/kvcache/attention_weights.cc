#include "kvcache/attention_weights.h"

#include <algorithm>

#include "base/check.h"

namespace kvasir::kvcache {

using kernels::kPanelRows;

float Dot(const float* a, const float* b, int n) {
  // Sixteen sums with a known trip count become vectors also at -O2.
  float sums[16] = {};
  for (int i = 0; i < n; i += 16) {
    for (int j = 0; j < 16; ++j) sums[j] += a[i + j] * b[i + j];
  }
  float sum = 0;
  for (const float each : sums) sum += each;
  return sum;
}

DenseRows::DenseRows(std::span<const float> rows, int d) : n_(static_cast<int64_t>(rows.size()) / d), d_(d) {
  const int64_t panels = (n_ + kPanelRows - 1) / kPanelRows;
  const size_t panel_size = static_cast<size_t>(kPanelRows) * static_cast<size_t>(d);
  panels_.resize(static_cast<size_t>(panels) * panel_size);
  const kernels::KernelTable& kernels = kernels::TableOf(kernels::ChosenIsa());
  std::vector<float> last(panel_size);  // the rows that are there, and zeros
  for (int64_t p = 0; p < panels; ++p) {
    const float* from = rows.data() + p * static_cast<int64_t>(panel_size);
    if ((p + 1) * kPanelRows > n_) {
      std::copy(from, rows.data() + rows.size(), last.begin());
      from = last.data();
    }
    kernels.interleave_panel(from, d, d, panels_.data() + p * static_cast<int64_t>(panel_size));
  }
}

void DenseRows::Times(std::span<const float> x, std::span<float> out) const {
  const auto count = static_cast<int64_t>(x.size()) / d_;
  KV_CHECK(static_cast<int64_t>(out.size()) == count * n_);
  const kernels::DenseWeights weights = {.format = kernels::DenseFormat::kF32,
                                         .n = n_,
                                         .k = d_,
                                         .panels = reinterpret_cast<const std::byte*>(panels_.data())};
  kernels::TableOf(kernels::ChosenIsa())
      .matmul_dense(weights, 0, (n_ + kPanelRows - 1) / kPanelRows, x.data(), d_, count, out.data(), n_, false);
}

void AttentionWeights(const DenseRows& keys, std::span<const int32_t> key_positions, std::span<const float> queries,
                      std::span<const int32_t> query_positions, float scale, float softcap, std::span<float> weights) {
  const kernels::KernelTable& kernels = kernels::TableOf(kernels::ChosenIsa());
  const size_t n = key_positions.size();
  keys.Times(queries, weights);
  for (size_t b = 0; b < query_positions.size(); ++b) {
    float* row = weights.data() + b * n;
    const auto seen = std::ranges::upper_bound(key_positions, query_positions[b]) - key_positions.begin();
    std::fill(row + seen, row + n, 0.0F);
    if (seen == 0) continue;
    kernels.scale(row, scale, seen);
    if (softcap > 0) kernels.softcap(row, softcap, seen);
    kernels.softmax(row, seen);
  }
}

void MeanAttention(const HeadEvidence& head, size_t first, std::span<float> scores) {
  std::ranges::fill(scores, 0.0F);
  const auto group = static_cast<size_t>(head.group);
  const size_t rows = (head.query_positions.size() - first) * group;
  if (rows == 0) return;
  const size_t n = head.positions.size();
  const DenseRows keys(head.keys, head.head_dim);
  std::vector<int32_t> positions;
  for (const int32_t position : head.query_positions.subspan(first)) positions.insert(positions.end(), group, position);
  std::vector<float> weights(rows * n);
  AttentionWeights(keys, head.positions, head.queries.subspan(first * group * static_cast<size_t>(head.head_dim)),
                   positions, head.scale, head.softcap, weights);
  for (size_t b = 0; b < rows; ++b) {
    const float* row = weights.data() + b * n;
    for (size_t i = 0; i < scores.size(); ++i) scores[i] += row[i];
  }
  for (float& score : scores) score /= static_cast<float>(rows);
}

}  // namespace kvasir::kvcache
