#include "engine/shadow_check.h"

#include <algorithm>
#include <cmath>

#include "kernels/kernels.h"

namespace kvasir {
namespace {

using kernels::kPageTokens;

constexpr auto kFormat = kernels::PageFormat::kF32;

// |a - b| / |b| of two vectors [D].
double RelativeDistance(std::span<const float> a, std::span<const float> b) {
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double apart = double{a[i]} - double{b[i]};
    difference += apart * apart;
    size += double{b[i]} * double{b[i]};
  }
  return size == 0 ? 0 : std::sqrt(difference / size);
}

}  // namespace

std::unique_ptr<ShadowCheck> ShadowCheck::Create(const Engine::Impl& engine, int64_t number) {
  const kvcache::KvShape& shape = engine.kv_shape;
  std::vector<int> layers;
  for (int layer = 0; layer < shape.layers; ++layer) {
    if (shape.window(layer) == 0) layers.push_back(layer);
  }
  if (layers.empty()) return nullptr;
  std::unique_ptr<ShadowCheck> check(new ShadowCheck);
  const auto count = static_cast<int64_t>(layers.size());
  const int64_t watched = std::min<int64_t>(kHeads, count * shape.kv_heads);
  for (int64_t i = 0; i < watched; ++i) {
    // Spread over the depth of the model; where there are fewer layers than that, over their heads.
    const int64_t layer = (i * std::max<int64_t>(1, count / kHeads) + number) % count;
    const int64_t kv_head = (i / count + number) % shape.kv_heads;
    check->heads_.push_back({.layer = layers[static_cast<size_t>(layer)], .kv_head = static_cast<int>(kv_head)});
  }
  return check;
}

void ShadowCheck::OnKeys(const ops::SequenceRows& rows, std::span<const int32_t> positions,
                         const ops::AttentionSpec& spec, const float* k, const float* v) {
  const auto store = kernels::TableOf(kernels::ChosenIsa()).store_kv[static_cast<size_t>(kFormat)];
  for (Head& head : heads_) {
    if (head.layer != spec.layer) continue;
    for (int64_t i = 0; i < rows.num_rows; ++i) {
      const int32_t position = positions[static_cast<size_t>(i)];
      const auto page = static_cast<size_t>(position / kPageTokens);
      while (head.pages.size() <= page) {
        auto memory = base::AlignedBuffer::Create(kernels::PageBytes(kFormat, spec.head_dim));
        if (!memory) return heads_.clear();  // a check is not worth a request
        head.pages.push_back(std::move(*memory));
      }
      const int64_t at = (i * spec.kv_heads + head.kv_head) * spec.head_dim;
      store(head.pages[page].data(), spec.head_dim, position % kPageTokens, k + at, v + at);
    }
  }
}

void ShadowCheck::OnAttention(const ops::SequenceRows& rows, std::span<const int32_t> positions,
                              const ops::AttentionSpec& spec, const float* q, const float* out) {
  if (rows.num_rows != 1 || positions[0] % kEvery != 0) return;
  const int group = spec.heads / spec.kv_heads;
  for (const Head& head : heads_) {
    if (head.layer != spec.layer) continue;
    const int64_t first = static_cast<int64_t>(head.kv_head) * group * spec.head_dim;
    Compare(head, positions[0], spec, q + first, out + first);
  }
}

// The query heads [G, D] of one KV head.
void ShadowCheck::Compare(const Head& head, int32_t position, const ops::AttentionSpec& spec, const float* q,
                          const float* out) {
  const int group = spec.heads / spec.kv_heads;
  const auto d = static_cast<size_t>(spec.head_dim);
  const size_t size = static_cast<size_t>(group) * d;
  std::vector<kernels::PageRef> pages;
  for (int32_t begin = 0; begin <= position; begin += kPageTokens) {
    pages.push_back({.data = head.pages[pages.size()].data(),
                     .first_position = begin,
                     .count = std::min(kPageTokens, position + 1 - begin)});
  }
  std::vector<float> queries(q, q + size);
  for (float& x : queries) x *= spec.scale;
  std::vector<float> exact(size);
  std::vector<float> lse(static_cast<size_t>(group));
  const std::vector<int32_t> row_positions(static_cast<size_t>(group), position);
  auto scratch = base::AlignedBuffer::Create(kernels::kAttendScratchBytes);
  if (!scratch) return;
  kernels::TableOf(kernels::ChosenIsa())
      .attend[static_cast<size_t>(kFormat)]({.q = queries.data(),
                                             .row_positions = row_positions.data(),
                                             .rows = group,
                                             .head_dim = spec.head_dim,
                                             .softcap = spec.softcap,
                                             .pages = pages.data(),
                                             .num_pages = static_cast<int>(pages.size()),
                                             .out = exact.data(),
                                             .lse = lse.data(),
                                             .scratch = scratch->data()});
  for (size_t g = 0; g < static_cast<size_t>(group); ++g) {
    distances_.push_back(RelativeDistance(std::span(out, size).subspan(g * d, d), std::span(exact).subspan(g * d, d)));
  }
}

void ShadowCheck::Report(ShadowStats& stats) {
  for (const double distance : distances_) {
    const auto bound = std::ranges::lower_bound(ShadowStats::kBounds, distance);
    ++stats.comparisons[static_cast<size_t>(bound - ShadowStats::kBounds.begin())];
    stats.distance_sum += distance;
  }
  distances_.clear();
}

}  // namespace kvasir
