// The prefix index: sealed blocks kept for whoever begins with the same tokens.
//
// The problem: most requests begin with something that was computed before (a system prompt, the conversation so far),
// and recomputing it is most of the work of serving. The idea: a block's chained hash names its tokens and all before
// them (block.h), so one lookup per 64 tokens finds the longest held beginning, and its pages are shared by reference.
// Inside the first block that differs, the longest common beginning is used too: the pages are shared, the sequence is
// cut there, and copy on write does the rest; so a match is exact to the token. Sources: Kwon et al., "PagedAttention",
// SOSP 2023 (hashed blocks); Zheng et al., "SGLang", NeurIPS 2024 (sharing to the token).
//
// Blocks nobody uses stay until memory is needed; then the least recently used go first. In a model with sliding
// windows the pages of local layers are kept and given up apart from the rest of their block: only the ends of held
// texts need them, and there they are most recently used.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "kvcache/block.h"
#include "kvcache/kv_options.h"
#include "kvcache/page_pool.h"
#include "kvcache/seal.h"

namespace kvasir::kvcache {

/// How a match ended.
enum class MatchEnd {
  kLimit,     ///< It is as long as was allowed.
  kDiverged,  ///< A held text goes on, but differently from the token behind the match.
  kNotHeld,   ///< No held text goes on here.
};

/// The longest held beginning of some tokens. Its pages stay alive with it.
struct PrefixMatch {
  int32_t length = 0;             ///< In tokens; the last block may be used in part.
  std::vector<HeldBlock> blocks;  ///< BlocksFor(length) of them, for KvSequence::Adopt.
  MatchEnd end = MatchEnd::kNotHeld;
};

struct PrefixStats {
  size_t blocks = 0;
  size_t unused_bytes = 0;  ///< Of pages that only the index refers to: what Reclaim can free.
  size_t shared_bytes = 0;  ///< Of pages that two or more others refer to.
  int64_t evicted_blocks = 0;
};

/// A held block, as an observer sees it.
struct HeldBlockInfo {
  BlockHash hash;
  BlockHash parent;    ///< RootHash for a text's first block.
  int64_t number = 0;  ///< Counts blocks as they came, from 1; it says nothing about their content.
  size_t bytes = 0;    ///< Of the pages that are held for it.
};

/// Holds blocks of one model, shape and page format; tenants are kept apart by their root hashes. An index is an
/// observer of the sequences that feed it. Thread-safe.
class PrefixIndex final : public SealObserver, public PageKeeper {
 public:
  /// Where a pool is given, which must outlive the index, blocks that nobody uses give way to what is allocated there.
  explicit PrefixIndex(const KvShape& shape, PagePool* pool = nullptr);
  ~PrefixIndex() override;
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  /// Keeps the block, unless an equal one is held already.
  void OnSeal(const SealedBlock& block) override;
  /// Holds the compact pages in place of the open ones; where it has compact ones already, the sequence shares those.
  void OnCompact(const BlockHash& hash, std::span<Page> pages) override;

  /// The longest beginning of `tokens` behind `root` that is held, at most `limit` tokens. Compares tokens, not only
  /// hashes. What it finds counts as used now.
  [[nodiscard]] PrefixMatch Match(const BlockHash& root, std::span<const int32_t> tokens, int32_t limit);

  /// Counts a sequence's blocks as used now; to be called when it lets go of them.
  void Touch(std::span<const BlockHash> chain);

  /// Bytes that Reclaim could free, counted up to `enough`.
  [[nodiscard]] size_t ReclaimableBytes(size_t enough) const;
  /// Gives up least recently used pages that nobody else refers to, until `bytes` are free or none is left. Returns the
  /// bytes freed.
  size_t Reclaim(size_t bytes) override;
  /// Gives up everything.
  void Clear();

  [[nodiscard]] PrefixStats stats() const;
  /// All held blocks, those used last first.
  [[nodiscard]] std::vector<HeldBlockInfo> Blocks() const;

 private:
  struct Entry;
  struct Part {  // the unit of eviction: a whole block, or its pages in layers with a window
    Entry* entry;
    bool local;
  };
  using PartList = std::list<Part>;
  struct Entry {
    BlockHash hash;
    BlockHash parent;
    int64_t number = 0;
    std::array<int32_t, kernels::kPageTokens> tokens;
    std::vector<Page> pages;  // [L * KVH]; of local layers empty once given up
    PartList::iterator whole;
    PartList::iterator local;  // lru_.end() where there are none
  };

  [[nodiscard]] bool IsLocal(size_t table) const {
    return shape_.window(static_cast<int>(table) / shape_.kv_heads) > 0;
  }
  [[nodiscard]] int32_t CutToHeldWindows(std::span<Entry* const> chain, int32_t length) const;
  [[nodiscard]] Entry* LongestSibling(const BlockHash& parent, std::span<const int32_t> tokens, int32_t* common) const;
  [[nodiscard]] int32_t FirstLocalBlock(int32_t length) const;
  void Use(Entry& entry, bool with_local);
  [[nodiscard]] size_t LocalBytes(const Entry& entry) const;
  [[nodiscard]] size_t GlobalBytes(const Entry& entry) const;
  [[nodiscard]] bool IsUsed(const Part& part) const;
  void Drop(const Part& part);

  const KvShape shape_;
  PagePool* const pool_;
  mutable std::mutex mutex_;
  std::unordered_map<BlockHash, Entry> entries_;
  std::unordered_multimap<BlockHash, Entry*> children_;  // by parent
  PartList lru_;                                         // least recently used first
  int64_t evicted_blocks_ = 0;
  int64_t last_number_ = 0;
};

}  // namespace kvasir::kvcache
