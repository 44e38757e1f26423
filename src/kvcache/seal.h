// Sealing: the one hook at which techniques attach to the cache.
//
// A block is open while tokens are still written to it and sealed once its 64 tokens are committed. A sealed block
// never changes. At that moment each observer of the sequence sees it exactly once and does its own part: a codec
// encodes it, a retrieval index learns its keys, an eviction policy scores it, the prefix index publishes it, a tier
// copies it out. An observer that wants the pages to live on copies the `Page` references; the sequence then copies a
// page before it would write to it (after a Truncate into the block), so what an observer holds stays as it was.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvcache/block.h"
#include "kvcache/page_pool.h"

namespace kvasir::kvcache {

/// A block at the moment it is sealed. Valid during the call only, except for copied Page references.
struct SealedBlock {
  BlockHash hash;
  BlockHash parent;                 ///< RootHash for block 0.
  int32_t index = 0;                ///< Positions 64 * index ... 64 * index + 63.
  std::span<const int32_t> tokens;  ///< The 64 tokens.
  std::span<const Page> pages;      ///< [L * KVH]; all present, all full, all open.
};

/// A sealed block that is kept beyond the sequence that made it.
struct HeldBlock {
  BlockHash hash;
  std::vector<int32_t> tokens;  ///< The 64 tokens.
  std::vector<Page> pages;      ///< [L * KVH]; empty where a layer with a window no longer needs them.
};

/// Someone who wants to know of sealed blocks.
class SealObserver {
 public:
  virtual ~SealObserver() = default;
  /// Called on the thread that commits, in order of position, before Commit returns. Must not touch the sequence.
  virtual void OnSeal(const SealedBlock& block) = 0;
  /// The pages of a block that OnSeal told of have been encoded, with the same content as attention now sees it: an
  /// observer that holds the old ones may hold these instead, or replace them by such pages that it held already. Same
  /// thread, same rules.
  virtual void OnCompact(const BlockHash& /*hash*/, std::span<Page> /*pages*/) {}
};

}  // namespace kvasir::kvcache
