// Growing, forking and rewinding a sequence. Context shift and the integrity check are in files of their own.
#include "kvcache/kv_sequence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace kvasir::kvcache {

using kernels::kPageTokens;

Result<KvSequence> KvSequence::Create(PagePool& pool, const KvShape& shape, const KvOptions& options,
                                      std::vector<SealObserver*> observers) {
  KV_TRY(shape.Validate());
  KV_TRY(options.Validate());
  return KvSequence(pool, shape, options, std::move(observers));
}

KvSequence::KvSequence(PagePool& pool, const KvShape& shape, const KvOptions& options,
                       std::vector<SealObserver*> observers)
    : pool_(&pool),
      shape_(shape),
      options_(options),
      codec_(&NativeCodec(options.format)),
      observers_(std::move(observers)),
      root_(RootHash(options, shape)),
      first_block_(static_cast<size_t>(shape.layers), 0),
      shift_floor_(static_cast<size_t>(shape.layers), 0),
      tables_(static_cast<size_t>(shape.layers) * static_cast<size_t>(shape.kv_heads)) {
  RefreshHeads();
}

Status KvSequence::Extend(std::span<const int32_t> tokens) {
  constexpr size_t kMaxLength = std::numeric_limits<int32_t>::max() - kPageTokens;
  if (tokens.size() > kMaxLength - tokens_.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} tokens behind {} are more than a sequence can number", tokens.size(), tokens_.size()));
  }
  if (tokens.empty()) return {};
  const int32_t open_block = length() / kPageTokens;
  const int32_t blocks_before = num_blocks();
  const auto blocks_after = static_cast<int32_t>(BlocksFor(static_cast<int64_t>(tokens_.size() + tokens.size())));
  const size_t num_added = static_cast<size_t>(blocks_after - blocks_before);
  KV_ASSIGN(std::vector<Page> copies, AllocateCopies(open_block, Write::kTokens));
  KV_ASSIGN(std::vector<Page> pages, pool_->AllocateMany(page_bytes(), num_added * tables_.size()));
  // Beyond this point nothing can fail.
  Unshare(open_block, Write::kTokens, std::move(copies));
  for (HeadTable& table : tables_) {
    for (size_t i = 0; i < num_added; ++i) {
      table.pages.push_back(std::move(pages.back()));
      pages.pop_back();
    }
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  RefreshRefs(open_block);
  return {};
}

KvView KvSequence::View() const {
  return {
      .format = options_.format,
      .compact = options_.compact == nullptr ? std::span<const kernels::CompactFormat>{} : options_.compact->formats(),
      .num_layers = shape_.layers,
      .num_kv_heads = shape_.kv_heads,
      .head_dim = shape_.head_dim,
      .first_new_position = committed_,
      .num_new = length() - committed_,
      .heads = heads_};
}

void KvSequence::Commit() {
  committed_ = length();
  while (static_cast<int32_t>(sealed_.size() + 1) * kPageTokens <= committed_) SealNextBlock();
}

// The hash of a full block whose predecessors are sealed.
BlockHash KvSequence::HashOf(size_t block) const {
  return ChainHash(ParentOf(block), std::span(tokens_).subspan(block * kPageTokens, kPageTokens),
                   block < origins_.size() ? origins_[block] : BlockOrigin{});
}

void KvSequence::SealNextBlock() {
  const size_t block = sealed_.size();
  sealed_.push_back(HashOf(block));
  if (observers_.empty()) return;
  std::vector<Page> pages;
  pages.reserve(tables_.size());
  for (int layer = 0; layer < shape_.layers; ++layer) {
    const size_t held = block - static_cast<size_t>(first_block_[static_cast<size_t>(layer)]);
    for (int head = 0; head < shape_.kv_heads; ++head) pages.push_back(tables_[index(layer, head)].pages[held]);
  }
  const SealedBlock sealed = {.hash = sealed_.back(),
                              .parent = ParentOf(block),
                              .index = static_cast<int32_t>(block),
                              .tokens = std::span(tokens_).subspan(block * kPageTokens, kPageTokens),
                              .pages = pages};
  for (SealObserver* observer : observers_) observer->OnSeal(sealed);
}

void KvSequence::ReleaseOutsideWindow() {
  for (int layer = 0; layer < shape_.layers; ++layer) {
    int32_t& first_block = first_block_[static_cast<size_t>(layer)];
    // Of a step in progress the first query sees farthest back.
    const int32_t needed = NeededBlock(layer, committed_);
    if (needed <= first_block) continue;
    const int32_t released = needed - first_block;
    for (int head = 0; head < shape_.kv_heads; ++head) {
      HeadTable& table = tables_[index(layer, head)];
      table.pages.erase(table.pages.begin(), table.pages.begin() + released);
      table.refs.erase(table.refs.begin(), table.refs.begin() + released);
    }
    first_block = needed;
  }
  RefreshHeads();
}

// The first block that a query at `position` expects to find in `layer`.
int32_t KvSequence::NeededBlock(int layer, int32_t position) const {
  const auto visible = static_cast<int32_t>(FirstVisible(position, shape_.window(layer)) / kPageTokens);
  return std::max(visible, shift_floor_[static_cast<size_t>(layer)]);
}

bool KvSequence::CanTruncateTo(int32_t new_length) const {
  if (new_length == 0) return true;
  if (new_length < 0 || new_length > length()) return false;
  for (int layer = 0; layer < shape_.layers; ++layer) {
    const int32_t first_block = first_block_[static_cast<size_t>(layer)];
    // The second condition matters only after a context shift: what is expected may begin behind the new end.
    if (NeededBlock(layer, new_length) < first_block || new_length < first_block * kPageTokens) return false;
  }
  return true;
}

Status KvSequence::Truncate(int32_t new_length) {
  if (new_length < 0 || new_length > length()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("cannot rewind to {} tokens: the sequence has {}", new_length, length()));
  }
  if (!CanTruncateTo(new_length)) {
    int32_t shortest = new_length;
    while (!CanTruncateTo(shortest)) ++shortest;
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("cannot rewind to {} tokens: a sliding window or an eviction has released what would be seen "
                    "from there; {} tokens or more work, or 0 and a new prefill",
                    new_length, shortest));
  }
  const auto blocks = static_cast<int32_t>(BlocksFor(new_length));
  for (int layer = 0; layer < shape_.layers; ++layer) {
    int32_t& first_block = first_block_[static_cast<size_t>(layer)];
    int32_t& floor = shift_floor_[static_cast<size_t>(layer)];
    first_block = std::min(first_block, blocks);
    floor = std::min(floor, blocks);
    for (int head = 0; head < shape_.kv_heads; ++head) {
      HeadTable& table = tables_[index(layer, head)];
      table.pages.resize(static_cast<size_t>(blocks - first_block));
      if (new_length == 0) {
        table.packed.clear();
        table.packed_positions.clear();
      }
    }
  }
  if (new_length == 0) evicted_ = false;
  tokens_.resize(static_cast<size_t>(new_length));
  committed_ = std::min(committed_, new_length);
  compact_end_ = std::min(compact_end_, blocks);
  sealed_.resize(std::min(sealed_.size(), static_cast<size_t>(new_length / kPageTokens)));
  if (origins_.size() >= static_cast<size_t>(blocks)) {
    origins_.resize(static_cast<size_t>(blocks));
    const int32_t in_last = new_length - (blocks - 1) * kPageTokens;
    if (blocks > 0) origins_.back().moved_tokens = std::min(origins_.back().moved_tokens, in_last);
  }
  RefreshRefs(new_length / kPageTokens);
  return {};
}

bool KvSequence::whole() const {
  return !evicted_ && std::ranges::all_of(origins_, [](const BlockOrigin& each) { return each.moved_tokens == 0; });
}

KvSequence KvSequence::Fork() const {
  KV_CHECK(committed_ == length());
  KvSequence fork(*pool_, shape_, options_, observers_);
  fork.tokens_ = tokens_;
  fork.committed_ = committed_;
  fork.sealed_ = sealed_;
  fork.origins_ = origins_;
  fork.compact_end_ = compact_end_;
  fork.evicted_ = evicted_;
  fork.first_block_ = first_block_;
  fork.shift_floor_ = shift_floor_;
  fork.tables_ = tables_;
  fork.RefreshHeads();
  return fork;
}

void KvSequence::Adopt(std::span<const HeldBlock> blocks, int32_t length) {
  KV_CHECK(tokens_.empty() && static_cast<size_t>(BlocksFor(length)) == blocks.size());
  for (const HeldBlock& block : blocks) {
    KV_CHECK(block.tokens.size() == kPageTokens && block.pages.size() == tables_.size());
    tokens_.insert(tokens_.end(), block.tokens.begin(), block.tokens.end());
    sealed_.push_back(block.hash);
  }
  committed_ = this->length();
  for (int layer = 0; layer < shape_.layers; ++layer) {
    const int32_t first_block = NeededBlock(layer, length);
    first_block_[static_cast<size_t>(layer)] = first_block;
    for (int head = 0; head < shape_.kv_heads; ++head) {
      HeadTable& table = tables_[index(layer, head)];
      for (size_t block = static_cast<size_t>(first_block); block < blocks.size(); ++block) {
        table.pages.push_back(blocks[block].pages[index(layer, head)]);
        KV_CHECK(static_cast<bool>(table.pages.back()));
      }
    }
  }
  RefreshRefs(0);
  KV_CHECK(Truncate(length).has_value());
}

size_t KvSequence::bytes() const {
  size_t bytes = 0;
  for (int layer = 0; layer < shape_.layers; ++layer) {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      for (const Page& page : tables_[index(layer, head)].packed) bytes += page_bytes(layer, page);
      for (const Page& page : tables_[index(layer, head)].pages) bytes += page_bytes(layer, page);
    }
  }
  return bytes;
}

void KvSequence::ForEachPage(const std::function<void(const Page&)>& visit) const {
  for (const HeadTable& table : tables_) {
    for (const Page& page : table.packed) visit(page);
    for (const Page& page : table.pages) visit(page);
  }
}

// Whether a page must be replaced by one of our own before it is written: tokens are written to open pages only, and
// what compact pages hold may not depend on their position at all.
bool KvSequence::MustCopy(int layer, const Page& page, Write write) const {
  if (!page.compact()) return !page.unique();
  return write == Write::kTokens || (!options_.compact->position_free(layer) && !page.unique());
}

// Pages for copies of all pages from block `first_block` on that must be copied, in the order of Unshare; empty ones
// where none is needed.
Result<std::vector<Page>> KvSequence::AllocateCopies(int32_t first_block, Write write) const {
  std::vector<Page> copies;
  for (int layer = 0; layer < shape_.layers; ++layer) {
    const int32_t skip = std::max(0, first_block - first_block_[static_cast<size_t>(layer)]);
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::vector<Page>& pages = tables_[index(layer, head)].pages;
      for (size_t i = static_cast<size_t>(skip); i < pages.size(); ++i) {
        copies.emplace_back();
        if (!MustCopy(layer, pages[i], write)) continue;
        const size_t bytes = write == Write::kTokens ? page_bytes() : page_bytes(layer, pages[i]);
        KV_ASSIGN(copies.back(), pool_->Allocate(bytes));
      }
    }
  }
  return copies;
}

// Replaces those pages by copies. Another owner may let go of a page meanwhile, so fewer copies than allocated may be
// needed, never more.
void KvSequence::Unshare(int32_t first_block, Write write, std::vector<Page> copies) {
  size_t next = 0;
  for (int layer = 0; layer < shape_.layers; ++layer) {
    const int32_t held_from = first_block_[static_cast<size_t>(layer)];
    const int32_t skip = std::max(0, first_block - held_from);
    for (int head = 0; head < shape_.kv_heads; ++head) {
      std::vector<Page>& pages = tables_[index(layer, head)].pages;
      for (size_t i = static_cast<size_t>(skip); i < pages.size(); ++i) {
        Page& copy = copies[next++];
        if (!MustCopy(layer, pages[i], write)) continue;
        if (pages[i].compact() && write == Write::kTokens) {
          OpenPage(layer, head, pages[i], (held_from + static_cast<int32_t>(i)) * kPageTokens, copy);
        } else {
          std::memcpy(copy.data(), pages[i].data(), page_bytes(layer, pages[i]));
          if (pages[i].compact()) copy.MarkCompact();
        }
        pages[i] = std::move(copy);
      }
    }
  }
}

kernels::PageRef KvSequence::RefTo(const Page& page, int32_t first_position, int32_t count) {
  return {.data = page.data(), .first_position = first_position, .count = count, .compact = page.compact()};
}

// Rebuilds the kernels' view of the blocks from `first_block` on.
void KvSequence::RefreshRefs(int32_t first_block) {
  for (int layer = 0; layer < shape_.layers; ++layer) {
    const int32_t held_from = first_block_[static_cast<size_t>(layer)];
    for (int head = 0; head < shape_.kv_heads; ++head) {
      HeadTable& table = tables_[index(layer, head)];
      const size_t packed = table.packed.size();
      table.refs.resize(packed + table.pages.size());
      for (size_t i = 0; first_block == 0 && i < packed; ++i) {
        const auto position = static_cast<int32_t>(i) * kPageTokens;
        const auto held = static_cast<int32_t>(table.packed_positions.size());
        table.refs[i] = RefTo(table.packed[i], position, std::min(kPageTokens, held - position));
      }
      for (size_t i = static_cast<size_t>(std::max(0, first_block - held_from)); i < table.pages.size(); ++i) {
        const int32_t position = (held_from + static_cast<int32_t>(i)) * kPageTokens;
        table.refs[packed + i] = RefTo(table.pages[i], position, std::min(kPageTokens, length() - position));
      }
    }
  }
  RefreshHeads();
}

void KvSequence::RefreshHeads() {
  heads_.resize(tables_.size());
  for (size_t i = 0; i < tables_.size(); ++i) heads_[i].refs = tables_[i].refs;
}

}  // namespace kvasir::kvcache
