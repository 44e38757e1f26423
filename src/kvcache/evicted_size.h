// What an eviction leaves, by arithmetic: how many tokens of each layer, and the bytes of their pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kvcache/eviction_policy.h"
#include "kvcache/kv_options.h"

namespace kvasir::kvcache {

/// A sequence after EvictToBudget.
struct EvictedSize {
  size_t bytes = 0;             ///< Of its pages.
  std::vector<int64_t> tokens;  ///< [L] that each head of a layer keeps; in layers with a window: as if it had none.
};

/// Of a sequence of `context` tokens that nothing was evicted from before, stored as `layout` says, and shifted with
/// KvOptions::recent = `shift_recent`. Exact where the heads of a layer keep as many tokens each; where a policy
/// divides them otherwise, `tokens` is their mean, and each head may have a page more.
[[nodiscard]] EvictedSize SizeAfterEviction(const EvictionPolicy& policy, const KvShape& shape, const KvLayout& layout,
                                            int64_t context, int budget, int shift_recent);

/// A bound on the bytes of a sequence of `context` tokens whose heads hold at most `tokens` tokens in layers without a
/// window (in all layers, where `everywhere`), on average over the heads of a layer. What was kept is packed, so each
/// head may have two partly filled pages.
[[nodiscard]] size_t MostBytesHeld(const KvShape& shape, const KvLayout& layout, int64_t context, int64_t tokens,
                                   bool everywhere);

}  // namespace kvasir::kvcache
