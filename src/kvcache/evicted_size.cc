#include "kvcache/evicted_size.h"

#include <algorithm>
#include <ranges>

#include "kvcache/eviction_driver.h"

namespace kvasir::kvcache {
namespace {

using kernels::kPageTokens;

size_t OpenBytes(const KvShape& shape, const KvLayout& layout) {
  return kernels::PageBytes(layout.open, shape.head_dim);
}

size_t CompactBytes(const KvShape& shape, const KvLayout& layout, int layer) {
  return layout.compact == nullptr ? OpenBytes(shape, layout) : layout.compact->PageBytes(layer);
}

// Bytes of the blocks [begin, end) of one head of a sequence of `context` tokens.
size_t BlockBytes(const KvShape& shape, const KvLayout& layout, int layer, int64_t context, int64_t begin,
                  int64_t end) {
  int64_t compact = 0;
  if (layout.compact != nullptr) {
    const CompactRule& rule = layout.compact->rule();
    const int64_t first = std::max<int64_t>(begin, rule.FirstBlock());
    compact = std::max<int64_t>(std::min<int64_t>(end, rule.EndBlock(context)) - first, 0);
  }
  const int64_t open = std::max<int64_t>(end - begin, 0) - compact;
  return static_cast<size_t>(open) * OpenBytes(shape, layout) +
         static_cast<size_t>(compact) * CompactBytes(shape, layout, layer);
}

// Bytes of one head's `tokens` tokens that were packed into pages of its own.
size_t PackedBytes(const KvShape& shape, const KvLayout& layout, int layer, int64_t tokens) {
  const int64_t pages = BlocksFor(tokens);
  const int64_t open =
      layout.compact == nullptr ? pages : std::min<int64_t>(pages, layout.compact->rule().FirstBlock());
  return static_cast<size_t>(open) * OpenBytes(shape, layout) +
         static_cast<size_t>(pages - open) * CompactBytes(shape, layout, layer);
}

int64_t FirstBlockOf(const KvShape& shape, int layer, int64_t context) {
  return FirstVisible(context, shape.window(layer)) / kPageTokens;
}

// Of whole pages behind the sinks, as many go as the budget asks for and the recent tokens allow.
EvictedSize SizeRenumbered(const EvictionPolicy& policy, const KvShape& shape, const KvLayout& layout, int64_t context,
                           int budget, int shift_recent) {
  const int64_t drop = TokensToDrop(policy, shape, context, budget, shift_recent);
  const int64_t begin = BlocksFor(policy.sinks());
  EvictedSize size;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const int64_t first = FirstBlockOf(shape, layer, context);
    const int64_t gone_from = std::max(begin, first);
    const int64_t gone_to = std::max(begin + drop / kPageTokens, gone_from);
    size.bytes += BlockBytes(shape, layout, layer, context, first, BlocksFor(context)) -
                  BlockBytes(shape, layout, layer, context, gone_from, gone_to);
    size.tokens.push_back(context - drop);
  }
  size.bytes *= static_cast<size_t>(shape.kv_heads);
  return size;
}

}  // namespace

EvictedSize SizeAfterEviction(const EvictionPolicy& policy, const KvShape& shape, const KvLayout& layout,
                              int64_t context, int budget, int shift_recent) {
  if (policy.renumbers()) return SizeRenumbered(policy, shape, layout, context, budget, shift_recent);
  const auto layers = static_cast<int>(
      std::ranges::count_if(std::views::iota(0, shape.layers), [&](int layer) { return shape.window(layer) == 0; }));
  EvictedSize size;
  int index = 0;  // of the layers without a window
  for (int layer = 0; layer < shape.layers; ++layer) {
    int64_t kept = context;
    int64_t packed = 0;
    int64_t end_block = FirstBlockOf(shape, layer, context);
    if (shape.window(layer) == 0) {
      const int of_layer = policy.LayerBudget(budget, static_cast<int32_t>(context), index++, layers);
      if (context > of_layer) {
        end_block = std::max<int64_t>(0, context - policy.Recent(of_layer)) / kPageTokens;
        const int64_t recent = context - end_block * kPageTokens;
        const int64_t first = std::min<int64_t>(policy.sinks(), end_block * kPageTokens);
        packed = std::min(end_block * kPageTokens, first + std::max<int64_t>(0, of_layer - first - recent));
        kept = packed + recent;
      }
    }
    size.bytes += PackedBytes(shape, layout, layer, packed) +
                  BlockBytes(shape, layout, layer, context, end_block, BlocksFor(context));
    size.tokens.push_back(kept);
  }
  size.bytes *= static_cast<size_t>(shape.kv_heads);
  return size;
}

size_t MostBytesHeld(const KvShape& shape, const KvLayout& layout, int64_t context, int64_t tokens, bool everywhere) {
  size_t bytes = 0;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const bool windowed = shape.window(layer) > 0;
    const int64_t held = everywhere || !windowed ? std::min(tokens, context) : context;
    const int64_t slack = windowed || held == context ? 0 : kPageTokens;
    bytes += LayerBytesToGrow(shape, layout, layer, 0, held + slack, 1);
  }
  return bytes;
}

}  // namespace kvasir::kvcache
