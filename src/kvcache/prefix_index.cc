#include "kvcache/prefix_index.h"

#include <algorithm>

#include "base/check.h"

namespace kvasir::kvcache {

using kernels::kPageTokens;

PrefixIndex::PrefixIndex(const KvShape& shape, PagePool* pool) : shape_(shape), pool_(pool) {
  if (pool_ != nullptr) pool_->AddKeeper(*this);
}

PrefixIndex::~PrefixIndex() {
  if (pool_ != nullptr) pool_->RemoveKeeper(*this);
}

void PrefixIndex::OnSeal(const SealedBlock& block) {
  const std::lock_guard lock(mutex_);
  const auto [place, is_new] = entries_.try_emplace(block.hash);
  Entry& entry = place->second;
  const bool has_local = std::ranges::any_of(shape_.windows, [](int window) { return window > 0; });
  if (is_new) {
    entry.hash = block.hash;
    entry.parent = block.parent;
    entry.number = ++last_number_;
    std::ranges::copy(block.tokens, entry.tokens.begin());
    entry.pages.assign(block.pages.begin(), block.pages.end());
    children_.emplace(block.parent, &entry);
    entry.whole = lru_.insert(lru_.end(), {&entry, false});
    entry.local = has_local ? lru_.insert(lru_.end(), {&entry, true}) : lru_.end();
    return;
  }
  if (has_local && entry.local == lru_.end()) {  // its local pages were given up: here they are again
    for (size_t table = 0; table < entry.pages.size(); ++table) {
      if (IsLocal(table)) entry.pages[table] = block.pages[table];
    }
    entry.local = lru_.insert(lru_.end(), {&entry, true});
  }
}

void PrefixIndex::OnCompact(const BlockHash& hash, std::span<Page> pages) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(hash);
  if (found == entries_.end()) return;
  for (size_t table = 0; table < pages.size(); ++table) {
    Page& held = found->second.pages[table];
    if (!held || !pages[table] || !pages[table].compact()) continue;  // given up by one of the two, or not encoded
    if (held.compact()) {
      pages[table] = held;
    } else {
      held = pages[table];
    }
  }
}

// The first block of which a sequence of `length` tokens still sees something in a layer with a window.
int32_t PrefixIndex::FirstLocalBlock(int32_t length) const {
  int64_t first = BlocksFor(length);
  for (const int window : shape_.windows) {
    if (window > 0) first = std::min(first, FirstVisible(length, window) / kPageTokens);
  }
  return static_cast<int32_t>(first);
}

// The longest beginning of at most `length` tokens whose next query finds the pages of all windows.
int32_t PrefixIndex::CutToHeldWindows(std::span<Entry* const> chain, int32_t length) const {
  for (int32_t block = static_cast<int32_t>(BlocksFor(length)) - 1; block >= FirstLocalBlock(length); --block) {
    if (chain[static_cast<size_t>(block)]->local == lru_.end()) length = block * kPageTokens;
  }
  return length;
}

// Of the blocks held behind `parent`, one that begins most like `tokens`.
PrefixIndex::Entry* PrefixIndex::LongestSibling(const BlockHash& parent, std::span<const int32_t> tokens,
                                                int32_t* common) const {
  Entry* best = nullptr;
  const auto [begin, end] = children_.equal_range(parent);
  for (auto child = begin; child != end; ++child) {
    const auto& theirs = child->second->tokens;
    const auto differs = std::ranges::mismatch(theirs, tokens).in1;
    const auto length = static_cast<int32_t>(differs - theirs.begin());
    if (best == nullptr || length > *common) {
      best = child->second;
      *common = length;
    }
  }
  return best;
}

PrefixMatch PrefixIndex::Match(const BlockHash& root, std::span<const int32_t> tokens, int32_t limit) {
  KV_CHECK(limit >= 0 && static_cast<size_t>(limit) <= tokens.size());
  const std::lock_guard lock(mutex_);
  PrefixMatch match;
  std::vector<Entry*> chain;
  BlockHash parent = root;
  while (static_cast<int32_t>(chain.size() + 1) * kPageTokens <= limit) {
    const auto block = tokens.subspan(chain.size() * kPageTokens, kPageTokens);
    const BlockHash hash = ChainHash(parent, block);
    const auto found = entries_.find(hash);
    if (found == entries_.end() || found->second.parent != parent || !std::ranges::equal(found->second.tokens, block)) {
      break;
    }
    chain.push_back(&found->second);
    parent = hash;
  }
  int32_t length = static_cast<int32_t>(chain.size()) * kPageTokens;
  int32_t common = 0;
  if (Entry* sibling = LongestSibling(parent, tokens.subspan(static_cast<size_t>(length)), &common)) {
    match.end = MatchEnd::kDiverged;
    common = std::min(common, limit - length);
    if (common > 0) chain.push_back(sibling);
    length += common;
  }
  if (length == limit) match.end = MatchEnd::kLimit;
  match.length = CutToHeldWindows(chain, length);
  if (match.length < length) match.end = MatchEnd::kNotHeld;

  // Deepest first, so that of a text its end is given up before its beginning.
  const auto blocks = static_cast<int32_t>(BlocksFor(match.length));
  const int32_t first_local = FirstLocalBlock(match.length);
  match.blocks.resize(static_cast<size_t>(blocks));
  for (int32_t i = blocks - 1; i >= 0; --i) {
    Entry& entry = *chain[static_cast<size_t>(i)];
    Use(entry, i >= first_local);
    HeldBlock& held = match.blocks[static_cast<size_t>(i)];
    held.hash = entry.hash;
    held.tokens.assign(entry.tokens.begin(), entry.tokens.end());
    held.pages = entry.pages;
    for (size_t table = 0; i < first_local && table < held.pages.size(); ++table) {
      if (IsLocal(table)) held.pages[table].Reset();
    }
  }
  return match;
}

void PrefixIndex::Use(Entry& entry, bool with_local) {
  lru_.splice(lru_.end(), lru_, entry.whole);
  if (with_local && entry.local != lru_.end()) lru_.splice(lru_.end(), lru_, entry.local);
}

void PrefixIndex::Touch(std::span<const BlockHash> chain) {
  const std::lock_guard lock(mutex_);
  const int32_t first_local = FirstLocalBlock(static_cast<int32_t>(chain.size()) * kPageTokens);
  for (size_t i = chain.size(); i-- > 0;) {
    const auto found = entries_.find(chain[i]);
    if (found != entries_.end()) Use(found->second, static_cast<int32_t>(i) >= first_local);
  }
}

// Bytes of the entry's pages in layers with a window that nobody else refers to.
size_t PrefixIndex::LocalBytes(const Entry& entry) const {
  size_t bytes = 0;
  for (size_t table = 0; table < entry.pages.size(); ++table) {
    const Page& page = entry.pages[table];
    if (IsLocal(table) && page && page.unique()) bytes += page.bytes();
  }
  return bytes;
}

// Bytes of its other pages; none if somebody uses the block.
size_t PrefixIndex::GlobalBytes(const Entry& entry) const {
  size_t bytes = 0;
  for (size_t table = 0; table < entry.pages.size(); ++table) {
    if (IsLocal(table)) continue;
    if (!entry.pages[table].unique()) return 0;
    bytes += entry.pages[table].bytes();
  }
  return bytes;
}

bool PrefixIndex::IsUsed(const Part& part) const {
  if (part.local) return LocalBytes(*part.entry) == 0;
  if (GlobalBytes(*part.entry) > 0) return false;
  // Where every layer has a window, a block without pages is still a link to those behind it, as good as unused.
  return part.entry->local != lru_.end() ||
         std::ranges::any_of(part.entry->pages, [](const Page& page) { return static_cast<bool>(page); });
}

size_t PrefixIndex::ReclaimableBytes(size_t enough) const {
  const std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (auto part = lru_.begin(); part != lru_.end() && bytes < enough; ++part) {
    bytes += part->local ? LocalBytes(*part->entry) : GlobalBytes(*part->entry);
  }
  return bytes;
}

size_t PrefixIndex::Reclaim(size_t bytes) {
  const std::lock_guard lock(mutex_);
  size_t freed = 0;
  for (auto next = lru_.begin(); next != lru_.end() && freed < bytes;) {
    const Part part = *next++;
    if (IsUsed(part)) continue;
    freed += LocalBytes(*part.entry) + (part.local ? 0 : GlobalBytes(*part.entry));
    // With a block its local part goes, whose node may be the next.
    if (!part.local && next != lru_.end() && next->entry == part.entry) ++next;
    Drop(part);
  }
  return freed;
}

void PrefixIndex::Drop(const Part& part) {
  Entry& entry = *part.entry;
  if (entry.local != lru_.end()) lru_.erase(std::exchange(entry.local, lru_.end()));
  if (part.local) {
    for (size_t table = 0; table < entry.pages.size(); ++table) {
      if (IsLocal(table)) entry.pages[table].Reset();
    }
    return;
  }
  lru_.erase(entry.whole);
  const auto [begin, end] = children_.equal_range(entry.parent);
  children_.erase(std::find_if(begin, end, [&](const auto& child) { return child.second == &entry; }));
  entries_.erase(entry.hash);
  ++evicted_blocks_;
}

void PrefixIndex::Clear() {
  const std::lock_guard lock(mutex_);
  lru_.clear();
  children_.clear();
  entries_.clear();
}

PrefixStats PrefixIndex::stats() const {
  const std::lock_guard lock(mutex_);
  PrefixStats stats{.blocks = entries_.size(), .evicted_blocks = evicted_blocks_};
  for (const auto& [hash, entry] : entries_) {
    for (const Page& page : entry.pages) {
      if (!page) continue;
      const uint32_t uses = page.use_count();
      if (uses == 1) stats.unused_bytes += page.bytes();
      if (uses > 2) stats.shared_bytes += page.bytes();
    }
  }
  return stats;
}

std::vector<HeldBlockInfo> PrefixIndex::Blocks() const {
  const std::lock_guard lock(mutex_);
  std::vector<HeldBlockInfo> blocks;
  blocks.reserve(entries_.size());
  for (auto part = lru_.rbegin(); part != lru_.rend(); ++part) {
    if (part->local) continue;
    const Entry& entry = *part->entry;
    size_t bytes = 0;
    for (const Page& page : entry.pages) bytes += page ? page.bytes() : 0;
    blocks.push_back({.hash = entry.hash, .parent = entry.parent, .number = entry.number, .bytes = bytes});
  }
  return blocks;
}

}  // namespace kvasir::kvcache
