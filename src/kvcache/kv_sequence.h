// One sequence's cache: its tokens and a page table per (layer, KV head).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kvasir/result.h"
#include "kvcache/block.h"
#include "kvcache/codec.h"
#include "kvcache/kv_options.h"
#include "kvcache/page_pool.h"
#include "kvcache/page_reader.h"
#include "kvcache/seal.h"
#include "kvcache/view.h"

namespace kvasir::kvcache {

/// Rotates one stored key [D] of `layer` by `delta` positions (negative: towards the start), as RoPE would.
using RotateKey = std::function<void(int layer, float* key, int32_t delta)>;

/// The cache of one sequence. A step is:
///
///   Extend(tokens)           reserve slots                      may fail; then nothing changed
///   View()                   the forward pass writes the new slots and attends
///   Commit()                 full blocks are sealed             (to give a step up: Truncate(committed()) instead)
///   ReleaseOutsideWindow()   local layers drop what no later query sees
///   Compact()                pages behind the recent tokens are encoded, where KvOptions::compact says how
///
/// Page i of every table holds positions 64i ... 64i+63; the last one may be partly filled. A page is written only
/// while this sequence is its one owner: Extend copies a shared last page first. So forks and observers never see a
/// change.
///
/// Threads: one thread at a time per sequence; different sequences of one pool are independent. The forward pass may
/// read one View from many threads. The pool must outlive the sequence. Movable, not copyable: Fork() says what a copy
/// means.
class KvSequence {
 public:
  /// Fails with kInvalidArgument on a bad shape or options. Holds no page yet. `observers` must outlive the sequence.
  static Result<KvSequence> Create(PagePool& pool, const KvShape& shape, const KvOptions& options,
                                   std::vector<SealObserver*> observers = {});
  KvSequence(KvSequence&&) = default;
  KvSequence& operator=(KvSequence&&) = default;

  /// Reserves a slot in every layer and head for each token. All or nothing: kResourceExhausted, with the numbers, when
  /// the pool's budget does not allow it. Several calls before Commit() form one step.
  Status Extend(std::span<const int32_t> tokens);

  /// The page tables, with the tokens since the last Commit() as the step in progress. Valid until the next mutation.
  [[nodiscard]] KvView View() const;

  /// Declares the keys and values of the step written: seals the blocks that became full and tells the observers.
  void Commit();

  /// Frees the pages of layers with a window that no query at position length() or later sees. Call after Commit, when
  /// no rewind is wanted any more.
  void ReleaseOutsideWindow();

  /// How many more tokens the step in progress may bring: with compact pages a step ends at multiples of kCompactStep.
  [[nodiscard]] int32_t RoomInStep() const;
  /// Encodes the pages that the rule of KvOptions::compact says are to be compact, over the threads of `pool`, and
  /// tells the observers. A page for which the budget has no room at the moment stays open until a later call. Call
  /// after ReleaseOutsideWindow; does nothing while a step is in progress.
  void Compact(base::ThreadPool& pool);

  /// Blocks of which every token lies at least `recent` tokens before the end: what may be evicted.
  [[nodiscard]] int32_t EvictableBlocks(int32_t recent) const;
  /// The positions of the committed tokens before block `end_block` that a head of a layer without a window holds, in
  /// the order in which it holds them, which is ascending.
  [[nodiscard]] std::vector<int32_t> HeldPositions(int layer, int kv_head, int32_t end_block) const;
  /// Their keys and values [n][D], as attention sees them.
  void ReadHead(int layer, int kv_head, int32_t end_block, std::vector<float>* keys, std::vector<float>* values) const;
  /// Of the tokens before block `end_block`, keeps in each head of `layer` only those at the places kept[head] (indices
  /// into HeldPositions, ascending), packed into pages of its own; the others' memory is free at once. Shared pages
  /// stay as they are for their other owners. From then on the sequence cannot be rewound to before `end_block` (except
  /// to 0), nor its context be shifted, and observers hear nothing of it any more. Only between steps, only for layers
  /// without a window. All or nothing: kResourceExhausted when the budget has no room for the copies.
  [[nodiscard]] Status Evict(int layer, int32_t end_block, std::span<const std::vector<int32_t>> kept);
  /// Whether some head has forgotten tokens since the sequence was last empty.
  [[nodiscard]] bool evicted() const { return evicted_; }
  /// Whether its tokens are a text from its beginning and without a gap, and all that they saw of it is there (but for
  /// what a window hides).
  [[nodiscard]] bool whole() const;
  /// Observers hear nothing of this sequence any more: what comes now is of no use to others.
  void StopObserving() { observers_.clear(); }

  /// Whether Truncate(length) can work: 0 <= length <= length(), and every page that a query at `length` sees is held.
  /// Always true for 0.
  [[nodiscard]] bool CanTruncateTo(int32_t length) const;
  /// Forgets the tokens from `length` on, committed or not. Pages that become empty are freed, blocks that are no
  /// longer full are open again. kInvalidArgument, with the shortest length that still works, where CanTruncateTo says
  /// no.
  Status Truncate(int32_t length);

  /// A second sequence with the same tokens, sharing every page until one of the two writes to it. No step may be in
  /// progress. Costs no page; observers are not told again of blocks sealed before.
  [[nodiscard]] KvSequence Fork() const;

  /// Starts this empty sequence from held blocks of the same root: it then holds their first `length` tokens, at least
  /// one of the last block, and shares their pages until it writes to one. Costs no page; observers are not told. Every
  /// page that a query at `length` or later sees must be there.
  void Adopt(std::span<const HeldBlock> blocks, int32_t length);

  /// Context shift: keeps the first `sinks` tokens (rounded up to whole pages), drops the whole pages that follow until
  /// at least `drop_tokens` are gone, moves the rest down to close the gap, and turns its keys by that distance with
  /// `rotate`. Returns the number of tokens dropped (a multiple of 64). Shared pages are copied first; all or nothing:
  /// kInvalidArgument when so many tokens cannot go (sinks and the last KvOptions::recent stay) or a step is in
  /// progress, kResourceExhausted when the copies do not fit the budget. Values stay as they are. Where keys have no
  /// position encoding, pass a `rotate` that does nothing.
  Result<int32_t> ShiftContext(int32_t sinks, int32_t drop_tokens, const RotateKey& rotate);

  /// Tokens held, the step in progress included.
  int32_t length() const { return static_cast<int32_t>(tokens_.size()); }
  /// Tokens whose keys and values are written.
  int32_t committed() const { return committed_; }
  std::span<const int32_t> tokens() const { return tokens_; }
  /// Hashes of the sealed blocks, from position 0.
  std::span<const BlockHash> sealed() const { return sealed_; }
  const KvShape& shape() const { return shape_; }
  const KvOptions& options() const { return options_; }
  /// Bytes of the pages this sequence refers to, shared ones included.
  size_t bytes() const;

  /// Checks every invariant that can be checked from inside; the message names the first one that does not hold (then
  /// it is a bug in Kvasir: kCorrupt).
  [[nodiscard]] Status CheckIntegrity() const;

  /// Calls visit(page) for each page referred to. For accounting.
  void ForEachPage(const std::function<void(const Page&)>& visit) const;

 private:
  // The pages of one (layer, head), from block first_block_[layer] on, and before them what an eviction has kept;
  // `refs` says the same to the kernels.
  struct HeadTable {
    std::vector<Page> packed;               // shown as if they were the first blocks
    std::vector<int32_t> packed_positions;  // of the tokens in them
    std::vector<Page> pages;
    std::vector<kernels::PageRef> refs;
  };

  KvSequence(PagePool& pool, const KvShape& shape, const KvOptions& options, std::vector<SealObserver*> observers);

  int32_t num_blocks() const { return static_cast<int32_t>(BlocksFor(length())); }
  size_t page_bytes() const { return codec_->PageBytes(shape_.head_dim); }
  size_t page_bytes(int layer, const Page& page) const {
    return page.compact() ? options_.compact->PageBytes(layer) : page_bytes();
  }
  PageReader reader() const { return {options_.format, options_.compact.get(), shape_.head_dim}; }
  size_t index(int layer, int kv_head) const { return static_cast<size_t>(layer) * shape_.kv_heads + kv_head; }

  Page& PageOf(int layer, int kv_head, int32_t block) {
    return tables_[index(layer, kv_head)].pages[static_cast<size_t>(block - first_block_[static_cast<size_t>(layer)])];
  }

  // What a page that is to be written is needed for.
  enum class Write : uint8_t { kTokens, kRotation };
  bool MustCopy(int layer, const Page& page, Write write) const;
  Result<std::vector<Page>> AllocateCopies(int32_t first_block, Write write) const;
  void Unshare(int32_t first_block, Write write, std::vector<Page> copies);
  // Room for the floats of a page.
  struct PageFloats {
    std::vector<float> keys, values;
  };
  void EncodePage(int layer, int kv_head, int32_t block, PageFloats* floats);
  void ShowCompact(int32_t block);
  Status Pack(int layer, int kv_head, int32_t end_block, std::span<const int32_t> places, HeadTable* out) const;
  void OpenPage(int layer, int kv_head, const Page& page, int32_t first_position, Page& open) const;
  static kernels::PageRef RefTo(const Page& page, int32_t first_position, int32_t count = kernels::kPageTokens);
  void RefreshRefs(int32_t first_block);
  void RefreshHeads();
  const BlockHash& ParentOf(size_t block) const { return block == 0 ? root_ : sealed_[block - 1]; }
  BlockHash HashOf(size_t block) const;
  void SealNextBlock();
  Status CheckShift(int32_t sinks, int32_t drop_tokens) const;
  void AdjustFloors(int32_t kept, int32_t dropped);
  void DropBlocks(int32_t first_block, int32_t count);
  void RotateKeysFrom(int32_t first_block, int32_t delta, const RotateKey& rotate);
  void RotateOpen(int layer, const Page& page, int count, int32_t delta, const RotateKey& rotate);
  void RotateCompact(int layer, int kv_head, const Page& page, int32_t position, int32_t delta,
                     const RotateKey& rotate);
  void MoveOrigins(int32_t kept, int32_t dropped);
  int32_t NeededBlock(int layer, int32_t position) const;
  Status CheckTable(int layer, int kv_head) const;
  Status CheckPacked(int layer, int kv_head) const;

  PagePool* pool_;
  KvShape shape_;
  KvOptions options_;
  const Codec* codec_;
  std::vector<SealObserver*> observers_;

  std::vector<int32_t> tokens_;
  int32_t committed_ = 0;
  BlockHash root_;
  std::vector<BlockHash> sealed_;
  std::vector<BlockOrigin> origins_;  // of the blocks up to the last one that a context shift moved
  int32_t compact_end_ = 0;           // up to here Compact has nothing left to do
  bool evicted_ = false;
  std::vector<int32_t> first_block_;  // [L] earlier blocks are released
  std::vector<int32_t>
      shift_floor_;  // [L] earlier blocks cannot be expected: released when a context shift moved later ones
  std::vector<HeadTable> tables_;  // [L * KVH]
  std::vector<HeadPages> heads_;   // [L * KVH] what View() hands out
};

}  // namespace kvasir::kvcache
