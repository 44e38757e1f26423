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

// Blocks of one layer held when every query from position `first_query` on must find its keys, of `length` tokens.
int64_t BlocksHeld(int window, int64_t first_query, int64_t length) {
  return BlocksFor(length) - FirstVisible(first_query, window) / kernels::kPageTokens;
}

size_t BytesOfBlocks(const KvShape& shape, kernels::PageFormat format, int64_t blocks) {
  return static_cast<size_t>(blocks) * static_cast<size_t>(shape.kv_heads) * kernels::PageBytes(format, shape.head_dim);
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

size_t BytesPerToken(const KvShape& shape, kernels::PageFormat format) {
  return static_cast<size_t>(shape.layers) * BytesOfBlocks(shape, format, 1) / kernels::kPageTokens;
}

size_t BytesAt(const KvShape& shape, kernels::PageFormat format, int64_t context) {
  return BytesDuringStep(shape, format, context, 0);
}

size_t BytesDuringStep(const KvShape& shape, kernels::PageFormat format, int64_t context, int64_t step) {
  int64_t blocks = 0;
  for (int layer = 0; layer < shape.layers; ++layer) {
    blocks += BlocksHeld(shape.window(layer), context - step, context);
  }
  return BytesOfBlocks(shape, format, blocks);
}

size_t PeakBytes(const KvShape& shape, kernels::PageFormat format, int64_t context, int64_t step) {
  return BytesToGrow(shape, format, 0, context, step);
}

size_t BytesToGrow(const KvShape& shape, kernels::PageFormat format, int64_t held_blocks, int64_t context,
                   int64_t step) {
  const int64_t added = std::max<int64_t>(BlocksFor(context) - held_blocks, 0);
  int64_t blocks = 0;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const int64_t window = shape.window(layer);
    // window - 1 earlier positions and the step's own, wherever they lie relative to the pages.
    const int64_t local = BlocksFor(window - 1 + std::max<int64_t>(step, 1) - 1) + 1;
    blocks += window == 0 ? added : std::min(added, local);
  }
  return BytesOfBlocks(shape, format, blocks);
}

}  // namespace kvasir::kvcache
