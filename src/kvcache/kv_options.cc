#include "kvcache/kv_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace kvasir::kvcache {
namespace {

constexpr int kMaxLayers = 4096;
constexpr int kMaxKvHeads = 4096;
constexpr int kMaxHeadDim = 512;

Status CheckRange(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return {};
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}, but must be {} to {}", name, value, low, high));
}

size_t OpenPageBytes(const KvShape& shape, const KvLayout& layout) {
  return kernels::PageBytes(layout.open, shape.head_dim);
}

size_t CompactPageBytes(const KvShape& shape, const KvLayout& layout, int layer) {
  return layout.compact == nullptr ? OpenPageBytes(shape, layout) : layout.compact->PageBytes(layer);
}

}  // namespace

Status KvOptions::Validate() const {
  if (static_cast<int>(format) >= kernels::kNumPageFormats) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the cache format {} does not exist: use f32, f16 or q8", static_cast<int>(format)));
  }
  if (budget_bytes == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "the cache's memory budget is 0 bytes: give it room for at least one page");
  }
  KV_TRY(CheckRange("the number of sink tokens", sinks, 0, 1 << 20));
  return CheckRange("the number of recent tokens", recent, 0, 1 << 20);
}

Status KvShape::Validate() const {
  KV_TRY(CheckRange("the number of layers", layers, 1, kMaxLayers));
  KV_TRY(CheckRange("the number of KV heads", kv_heads, 1, kMaxKvHeads));
  KV_TRY(CheckRange("the head size", head_dim, 16, kMaxHeadDim));
  if (head_dim % 16 != 0) {
    return Fail(ErrorCode::kUnsupported, fmt::format("the head size is {}, but must be a multiple of 16", head_dim));
  }
  if (!windows.empty() && windows.size() != static_cast<size_t>(layers)) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} sliding windows are given for {} layers: give one per layer, or none", windows.size(), layers));
  }
  const auto negative = std::ranges::find_if(windows, [](int window) { return window < 0; });
  if (negative != windows.end()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the sliding window of layer {} is {}: use 0 for none, or a number of tokens",
                            negative - windows.begin(), *negative));
  }
  return {};
}

size_t BytesPerToken(const KvShape& shape, const KvLayout& layout) {
  size_t bytes = 0;
  for (int layer = 0; layer < shape.layers; ++layer) bytes += CompactPageBytes(shape, layout, layer);
  return bytes * static_cast<size_t>(shape.kv_heads) / kernels::kPageTokens;
}

double BitsPerElement(const KvShape& shape, const KvLayout& layout) {
  double bits = 0;
  for (int layer = 0; layer < shape.layers; ++layer) bits += LayerBitsPerElement(shape, layout, layer);
  return bits / shape.layers;
}

double LayerBitsPerElement(const KvShape& shape, const KvLayout& layout, int layer) {
  const double elements = 2.0 * shape.head_dim * kernels::kPageTokens;
  return 8 * static_cast<double>(CompactPageBytes(shape, layout, layer)) / elements;
}

size_t BytesAt(const KvShape& shape, const KvLayout& layout, int64_t context) {
  return BytesDuringStep(shape, layout, context, 0);
}

size_t BytesDuringStep(const KvShape& shape, const KvLayout& layout, int64_t context, int64_t step) {
  size_t bytes = 0;
  const int64_t first_query = context - step;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const int64_t begin = FirstVisible(first_query, shape.window(layer)) / kernels::kPageTokens;
    const int64_t blocks = BlocksFor(context) - begin;
    int64_t compact = 0;
    if (layout.compact != nullptr) {
      const CompactRule& rule = layout.compact->rule();
      compact = std::max<int64_t>(rule.EndBlock(first_query) - std::max<int64_t>(begin, rule.FirstBlock()), 0);
    }
    bytes += static_cast<size_t>(blocks - compact) * OpenPageBytes(shape, layout) +
             static_cast<size_t>(compact) * CompactPageBytes(shape, layout, layer);
  }
  return bytes * static_cast<size_t>(shape.kv_heads);
}

size_t PeakBytes(const KvShape& shape, const KvLayout& layout, int64_t context, int64_t step) {
  return BytesToGrow(shape, layout, 0, context, step);
}

size_t BytesToGrow(const KvShape& shape, const KvLayout& layout, int64_t held_blocks, int64_t context, int64_t step) {
  size_t bytes = 0;
  for (int layer = 0; layer < shape.layers; ++layer) {
    bytes += LayerBytesToGrow(shape, layout, layer, held_blocks, context, step);
  }
  return bytes;
}

size_t LayerBytesToGrow(const KvShape& shape, const KvLayout& layout, int layer, int64_t held_blocks, int64_t context,
                        int64_t step) {
  const int64_t added = std::max<int64_t>(BlocksFor(context) - held_blocks, 0);
  // At most so many blocks are open at a time: the sinks, the recent ones, those that wait for the next multiple of
  // kCompactStep, a step's own, one more where these do not fill pages, and one that is just being encoded.
  int64_t open = added;
  if (layout.compact != nullptr) {
    const CompactRule& rule = layout.compact->rule();
    open = std::min(
        added, rule.FirstBlock() + BlocksFor(rule.recent + kCompactStep + std::min<int64_t>(step, kCompactStep)) + 2);
  }
  const int64_t window = shape.window(layer);
  // window - 1 earlier positions and the step's own, wherever they lie relative to the pages.
  const int64_t local = BlocksFor(window - 1 + std::max<int64_t>(step, 1) - 1) + 1;
  const int64_t blocks = window == 0 ? added : std::min(added, local);
  const size_t bytes =
      static_cast<size_t>(std::min(blocks, open)) * OpenPageBytes(shape, layout) +
      static_cast<size_t>(std::max<int64_t>(blocks - open, 0)) * CompactPageBytes(shape, layout, layer);
  return bytes * static_cast<size_t>(shape.kv_heads);
}

}  // namespace kvasir::kvcache
