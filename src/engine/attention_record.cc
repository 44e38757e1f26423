// Three things to record, each at its own price:
//
// - The last W queries: a copy.
// - Attention mass: the attention kernels never form the weights, so they are computed a second time, with the matrix
//   kernels, for some rows at a time, and summed over rows.
// - Mean and covariance of the queries before RoPE: each query is turned back, and its product with itself is added to
//   a sum. The sums are of differences from the first query: queries have features with a large constant part, and the
//   difference of two large sums would lose the covariance.
#include "engine/attention_record.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/kernels.h"
#include "kvcache/attention_weights.h"
#include "kvcache/page_reader.h"

namespace kvasir {
namespace {

constexpr int kMassRows = 64;     // rows whose attention is formed together, x grouped heads
constexpr int kSkippedRows = 4;   // queries of the first tokens are unlike all others
constexpr int kMassGrowth = 256;  // tokens for which room is made at a time; doubling would exceed what is counted
constexpr int kBlock = 16;        // known trip counts become vectors also at -O2

size_t MassRoom(size_t tokens) {
  return (tokens + kMassGrowth - 1) / kMassGrowth * kMassGrowth;
}

// Keys [n, D] of the pages of one head, as attention sees them, and the positions by which it masks them.
void ReadKeys(const kvcache::KvView& view, const kvcache::CompactStore* compact, int layer, int kv_head,
              std::vector<float>* keys, std::vector<int32_t>* positions) {
  const kvcache::PageReader reader = {view.format, compact, view.head_dim};
  std::vector<float> values;  // nobody wants them
  for (const kernels::PageRef& page : view.pages(layer, kv_head).refs) {
    values.clear();
    reader.Append(layer, kv_head, page, keys, &values);
    for (int slot = 0; slot < page.count; ++slot) positions->push_back(page.first_position + slot);
  }
}

// square [D, D] += x x^T, from the block of the diagonal on.
void AddSquare(const float* x, size_t d, float* square) {
  for (size_t i = 0; i < d; ++i) {
    float* row = square + i * d;
    for (size_t begin = i / kBlock * kBlock; begin < d; begin += kBlock) {
      for (size_t j = 0; j < kBlock; ++j) row[begin + j] += x[i] * x[begin + j];
    }
  }
}

}  // namespace

AttentionRecord::AttentionRecord(const kvcache::KvShape& shape, const kvcache::EvictionNeeds& needs,
                                 const kvcache::AttentionTraits& traits, base::ThreadPool& pool,
                                 const kvcache::CompactStore* compact)
    : shape_(shape), needs_(needs), traits_(traits), pool_(pool), compact_(compact) {
  Reset();
}

void AttentionRecord::Reset() {
  layers_.assign(static_cast<size_t>(shape_.layers), {});
  dirty_ = false;
  const auto kv_heads = static_cast<size_t>(shape_.kv_heads);
  const auto heads = static_cast<size_t>(traits_.heads);
  const auto d = static_cast<size_t>(shape_.head_dim);
  for (int l = 0; l < shape_.layers; ++l) {
    if (shape_.window(l) > 0) continue;
    Layer& layer = layers_[static_cast<size_t>(l)];
    if (needs_.window_queries > 0) {
      const auto window = static_cast<size_t>(needs_.window_queries);
      layer.query_positions.reserve(window);
      layer.queries.resize(kv_heads);
      for (std::vector<float>& each : layer.queries) each.reserve(window * group() * d);
    }
    if (needs_.attention_mass) layer.mass.resize(kv_heads);
    if (!needs_.query_statistics) continue;
    layer.origin.assign(heads, std::vector<float>(d));
    layer.sum.assign(heads, std::vector<float>(d));
    layer.square.assign(heads, std::vector<float>(d * d));
    layer.mean.assign(kv_heads, std::vector<float>(group() * d));
    layer.covariance.assign(kv_heads, std::vector<float>(group() * d * d));
  }
}

void AttentionRecord::OnRows(const ops::SequenceRows& rows, std::span<const int32_t> positions,
                             const ops::AttentionSpec& spec, const float* q) {
  dirty_ = true;
  if (shape_.window(spec.layer) > 0) return;
  Layer& layer = layers_[static_cast<size_t>(spec.layer)];
  if (needs_.window_queries > 0) RecordQueries(layer, rows, positions, q);
  if (needs_.query_statistics) AddStatistics(layer, rows, positions, spec, q);
  if (!needs_.attention_mass) return;
  pool_.ForDynamic(shape_.kv_heads, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t head = begin; head < end; ++head) {
      AddMass(layer, rows, positions, spec, static_cast<int>(head), q);
    }
  });
}

// q [rows, H, D].
void AttentionRecord::RecordQueries(Layer& layer, const ops::SequenceRows& rows, std::span<const int32_t> positions,
                                    const float* q) {
  const auto window = static_cast<size_t>(needs_.window_queries);
  const auto all = static_cast<size_t>(rows.num_rows);
  const size_t added = std::min(window, all);
  const size_t kept = std::min(layer.query_positions.size(), window - added);
  const auto forget = [](auto& values, size_t left) {
    values.erase(values.begin(), values.end() - static_cast<std::ptrdiff_t>(left));
  };
  forget(layer.query_positions, kept);
  for (size_t row = all - added; row < all; ++row) layer.query_positions.push_back(positions[row]);
  const size_t width = group() * static_cast<size_t>(shape_.head_dim);  // of a row's queries of one KV head
  for (size_t head = 0; head < layer.queries.size(); ++head) {
    std::vector<float>& queries = layer.queries[head];
    forget(queries, kept * width);
    for (size_t row = all - added; row < all; ++row) {
      const float* from = q + (row * static_cast<size_t>(shape_.kv_heads) + head) * width;
      queries.insert(queries.end(), from, from + width);
    }
  }
}

void AttentionRecord::AddMass(Layer& layer, const ops::SequenceRows& rows, std::span<const int32_t> positions,
                              const ops::AttentionSpec& spec, int kv_head, const float* q) const {
  std::vector<float> keys;
  std::vector<int32_t> key_positions;
  ReadKeys(*rows.kv, compact_, spec.layer, kv_head, &keys, &key_positions);
  const kvcache::DenseRows dense(keys, spec.head_dim);
  std::vector<float>& mass = layer.mass[static_cast<size_t>(kv_head)];
  if (key_positions.size() > mass.capacity()) mass.reserve(MassRoom(key_positions.size()));
  mass.resize(key_positions.size());
  const size_t n = mass.size();
  const size_t width = group() * static_cast<size_t>(spec.head_dim);
  std::vector<float> queries;
  std::vector<int32_t> query_positions;
  std::vector<float> weights;
  const kernels::KernelTable& kernels = kernels::TableOf(kernels::ChosenIsa());
  for (int begin = 0; begin < rows.num_rows; begin += kMassRows) {
    const int end = std::min(begin + kMassRows, rows.num_rows);
    queries.clear();
    query_positions.clear();
    for (int row = begin; row < end; ++row) {
      const size_t at = static_cast<size_t>(row) * static_cast<size_t>(spec.kv_heads) + static_cast<size_t>(kv_head);
      queries.insert(queries.end(), q + at * width, q + (at + 1) * width);
      query_positions.insert(query_positions.end(), group(), positions[static_cast<size_t>(row)]);
    }
    weights.resize(query_positions.size() * n);
    kvcache::AttentionWeights(dense, key_positions, queries, query_positions, spec.scale, spec.softcap, weights);
    for (size_t i = 0; i < query_positions.size(); ++i) {
      kernels.add(mass.data(), weights.data() + i * n, static_cast<int64_t>(n));
    }
  }
}

void AttentionRecord::AddStatistics(Layer& layer, const ops::SequenceRows& rows, std::span<const int32_t> positions,
                                    const ops::AttentionSpec& spec, const float* q) const {
  const auto d = static_cast<size_t>(spec.head_dim);
  const kvcache::KeyRope& rope =
      traits_.ropes[static_cast<size_t>(traits_.rope_of_layer[static_cast<size_t>(spec.layer)])];
  const size_t half = rope.frequencies.size();
  const auto first = static_cast<size_t>(std::ranges::lower_bound(positions, kSkippedRows) - positions.begin());
  const auto count = static_cast<size_t>(rows.num_rows);
  if (first >= count) return;
  ops::RopeSpec forward = {.frequencies = rope.frequencies, .magnitude = 1 / rope.magnitude, .neox = rope.neox};
  std::vector<float> cos(count * half);
  std::vector<float> sin(count * half);
  ops::RopeTables(forward, positions, cos.data(), sin.data());
  for (float& each : sin) each = -each;
  const bool begins = layer.counted == 0;
  layer.counted += static_cast<int64_t>(count - first);
  const kernels::KernelTable& kernels = kernels::TableOf(kernels::ChosenIsa());
  pool_.ForDynamic(spec.heads, 1, [&](int64_t begin, int64_t end, int) {
    std::vector<float> query(d);
    for (auto head = static_cast<size_t>(begin); head < static_cast<size_t>(end); ++head) {
      for (size_t row = first; row < count; ++row) {
        std::copy_n(q + (row * static_cast<size_t>(spec.heads) + head) * d, d, query.begin());
        kernels.rope(query.data(), cos.data() + row * half, sin.data() + row * half, static_cast<int>(2 * half),
                     rope.neox);
        if (begins && row == first) layer.origin[head] = query;
        for (size_t i = 0; i < d; ++i) query[i] -= layer.origin[head][i];
        kernels.add(layer.sum[head].data(), query.data(), static_cast<int64_t>(d));
        AddSquare(query.data(), d, layer.square[head].data());
      }
    }
  });
}

void AttentionRecord::MakeStatistics(Layer& layer, int kv_head) const {
  const auto d = static_cast<size_t>(shape_.head_dim);
  const auto count = static_cast<float>(std::max<int64_t>(layer.counted, 1));
  for (size_t g = 0; g < group(); ++g) {
    const size_t head = static_cast<size_t>(kv_head) * group() + g;
    float* mean = layer.mean[static_cast<size_t>(kv_head)].data() + g * d;
    float* covariance = layer.covariance[static_cast<size_t>(kv_head)].data() + g * d * d;
    const float* sum = layer.sum[head].data();
    for (size_t i = 0; i < d; ++i) {
      mean[i] = layer.origin[head][i] + sum[i] / count;
      for (size_t j = i; j < d; ++j) {
        covariance[i * d + j] = layer.square[head][i * d + j] / count - sum[i] / count * (sum[j] / count);
        covariance[j * d + i] = covariance[i * d + j];
      }
    }
  }
}

kvcache::HeadRecord AttentionRecord::Read(int layer, int kv_head) {
  Layer& record = layers_[static_cast<size_t>(layer)];
  const auto head = static_cast<size_t>(kv_head);
  kvcache::HeadRecord read;
  if (needs_.window_queries > 0) {
    read.queries = record.queries[head];
    read.query_positions = record.query_positions;
  }
  if (needs_.attention_mass) read.attention_mass = record.mass[head];
  if (needs_.query_statistics) {
    MakeStatistics(record, kv_head);
    read.query_mean = record.mean[head];
    read.query_covariance = record.covariance[head];
  }
  return read;
}

void AttentionRecord::Keep(int layer, std::span<const int> candidates, std::span<const std::vector<int32_t>> kept) {
  if (!needs_.attention_mass) return;
  Layer& record = layers_[static_cast<size_t>(layer)];
  for (size_t head = 0; head < kept.size(); ++head) {
    std::vector<float>& mass = record.mass[head];
    size_t left = 0;
    for (const int32_t place : kept[head]) mass[left++] = mass[static_cast<size_t>(place)];
    mass.erase(mass.begin() + static_cast<std::ptrdiff_t>(left), mass.begin() + candidates[head]);
  }
}

void AttentionRecord::Rewind(int32_t length, std::span<const int> held) {
  const size_t width = group() * static_cast<size_t>(shape_.head_dim);
  for (size_t l = 0; l < layers_.size(); ++l) {
    Layer& layer = layers_[l];
    const auto queries =
        static_cast<size_t>(std::ranges::lower_bound(layer.query_positions, length) - layer.query_positions.begin());
    layer.query_positions.resize(queries);
    for (std::vector<float>& each : layer.queries) each.resize(queries * width);
    for (size_t head = 0; head < layer.mass.size(); ++head) {
      const int left = held[l * static_cast<size_t>(shape_.kv_heads) + head];
      layer.mass[head].resize(static_cast<size_t>(left));
    }
  }
}

void AttentionRecord::TakeOver(const AttentionRecord& seen) {
  KV_CHECK(!seen.dirty_ && seen.needs_.window_queries >= needs_.window_queries);
  KV_CHECK(seen.needs_.attention_mass || !needs_.attention_mass);
  KV_CHECK(seen.needs_.query_statistics || !needs_.query_statistics);
  const size_t width = group() * static_cast<size_t>(shape_.head_dim);
  Reset();
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& from = seen.layers_[l];
    Layer& to = layers_[l];
    const size_t count = std::min(static_cast<size_t>(needs_.window_queries), from.query_positions.size());
    to.query_positions.assign(from.query_positions.end() - static_cast<std::ptrdiff_t>(count),
                              from.query_positions.end());
    for (size_t head = 0; head < to.queries.size(); ++head) {
      const std::vector<float>& queries = from.queries[head];
      to.queries[head].assign(queries.end() - static_cast<std::ptrdiff_t>(count * width), queries.end());
    }
    if (!to.mass.empty()) to.mass = from.mass;
    if (to.sum.empty()) continue;
    to.origin = from.origin;
    to.sum = from.sum;
    to.square = from.square;
    to.counted = from.counted;
  }
}

size_t AttentionRecord::bytes() const {
  size_t floats = 0;
  size_t positions = 0;
  for (const Layer& layer : layers_) {
    positions += layer.query_positions.capacity();
    for (const auto* all :
         {&layer.queries, &layer.mass, &layer.origin, &layer.sum, &layer.square, &layer.mean, &layer.covariance}) {
      for (const std::vector<float>& each : *all) floats += each.capacity();
    }
  }
  return floats * sizeof(float) + positions * sizeof(int32_t);
}

size_t AttentionRecord::MostBytes(const kvcache::KvShape& shape, const kvcache::EvictionNeeds& needs, int heads,
                                  int64_t tokens) {
  const auto d = static_cast<size_t>(shape.head_dim);
  const auto window = static_cast<size_t>(needs.window_queries);
  size_t floats = window * static_cast<size_t>(heads) * d;
  if (needs.attention_mass) floats += static_cast<size_t>(shape.kv_heads) * MassRoom(static_cast<size_t>(tokens));
  if (needs.query_statistics) floats += static_cast<size_t>(heads) * (3 * d + 2 * d * d);
  size_t layers = 0;
  for (int layer = 0; layer < shape.layers; ++layer) layers += shape.window(layer) == 0 ? 1 : 0;
  return layers * (floats * sizeof(float) + window * sizeof(int32_t));
}

}  // namespace kvasir
