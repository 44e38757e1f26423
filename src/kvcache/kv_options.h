// What a user chooses about the cache, what a model dictates about it, and the bytes that follow from both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "kvasir/result.h"
#include "kvcache/compact_store.h"

namespace kvasir::kvcache {

/// How the pages of a sequence are stored: what their bytes depend on.
struct KvLayout {
  // NOLINTNEXTLINE(google-explicit-constructor): most sequences have one format, and that is all of their layout.
  KvLayout(kernels::PageFormat open_format, const CompactStore* compact_store = nullptr)
      : open(open_format), compact(compact_store) {}

  kernels::PageFormat open;
  const CompactStore* compact;  ///< Null: all pages are open.
};

/// What a user chooses.
struct KvOptions {
  /// How pages that tokens are added to store keys and values, and all pages without `compact`.
  kernels::PageFormat format = kernels::PageFormat::kF16;
  /// How pages behind the recent tokens are stored; null: as the others.
  std::shared_ptr<const CompactStore> compact;
  /// Limit of all live pages of a pool. The default suits a small model; the engine sets it from the machine's memory.
  size_t budget_bytes = size_t{1} << 30;
  /// Tokens at the start that a context shift always keeps (attention sinks). Rounded up to whole pages.
  int sinks = 4;
  /// Tokens at the end that a context shift never drops.
  int recent = 256;
  /// Parts of the identity of cached content; blocks are shared only between sequences where all of them are equal.
  std::string model_fingerprint;  ///< Weights and adapter.
  std::string position_salt;      ///< RoPE kind, base and scaling, window pattern: whatever changes keys.
  std::string tenant_salt;        ///< Separates users who must not learn from timing what others have cached.

  [[nodiscard]] KvLayout layout() const { return {format, compact.get()}; }
  /// kInvalidArgument naming the field, its value and what is allowed.
  [[nodiscard]] Status Validate() const;
};

/// What a model dictates.
struct KvShape {
  int layers = 0;    ///< L
  int kv_heads = 0;  ///< KVH
  int head_dim = 0;  ///< D, a multiple of 16, at most 512
  /// Sliding window of each layer in tokens, 0 = sees everything. Empty = no layer has one; else L entries.
  std::vector<int> windows;

  int window(int layer) const { return windows.empty() ? 0 : windows[static_cast<size_t>(layer)]; }

  /// kInvalidArgument naming the field, its value and what is allowed.
  [[nodiscard]] Status Validate() const;
};

/// Blocks of 64 tokens that hold `tokens` tokens.
constexpr int64_t BlocksFor(int64_t tokens) {
  return (tokens + kernels::kPageTokens - 1) / kernels::kPageTokens;
}

/// The first position that a query at `position` (or any later one) sees in a layer of `window`.
constexpr int64_t FirstVisible(int64_t position, int window) {
  return window == 0 || position < window ? 0 : position - window + 1;
}

/// Bytes of one more token where no layer has a window, amortised over its page: with floats, L * KVH * 2 * D *
/// element. With compact pages, of a token that is no longer recent.
[[nodiscard]] size_t BytesPerToken(const KvShape& shape, const KvLayout& layout);

/// Bits that an element of a key or value takes, with scales, offsets, outliers and padding: the mean over layers. With
/// compact pages, of one of those.
[[nodiscard]] double BitsPerElement(const KvShape& shape, const KvLayout& layout);
/// The same of one layer.
[[nodiscard]] double LayerBitsPerElement(const KvShape& shape, const KvLayout& layout, int layer);

/// Exactly the bytes that a sequence of `context` tokens holds between steps, after ReleaseOutsideWindow: a layer with
/// a window keeps only the pages that a query at position `context` can still see, and the pages that the layout's rule
/// says are compact.
[[nodiscard]] size_t BytesAt(const KvShape& shape, const KvLayout& layout, int64_t context);

/// Exactly the bytes it holds during the step that takes it from `context - step` to `context` tokens.
[[nodiscard]] size_t BytesDuringStep(const KvShape& shape, const KvLayout& layout, int64_t context, int64_t step);

/// A bound on BytesDuringStep of every step of at most `step` tokens up to `context`: what admission must reserve.
[[nodiscard]] size_t PeakBytes(const KvShape& shape, const KvLayout& layout, int64_t context, int64_t step);

/// A bound on the bytes that a sequence allocates, in steps of at most `step` tokens, until it holds `context` tokens,
/// when it starts from `held_blocks` blocks that it need not allocate. Those bytes are enough, and where no layer has a
/// window, all of them are needed.
[[nodiscard]] size_t BytesToGrow(const KvShape& shape, const KvLayout& layout, int64_t held_blocks, int64_t context,
                                 int64_t step);
/// The part of one layer in BytesToGrow.
[[nodiscard]] size_t LayerBytesToGrow(const KvShape& shape, const KvLayout& layout, int layer, int64_t held_blocks,
                                      int64_t context, int64_t step);

}  // namespace kvasir::kvcache
