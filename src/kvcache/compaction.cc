// Compaction of a sequence: its full pages behind the recent tokens are encoded, and, where one of them must be written
// again, opened.
#include <algorithm>
#include <limits>
#include <vector>

#include "base/check.h"
#include "kvcache/kv_sequence.h"

namespace kvasir::kvcache {

using kernels::kPageTokens;

int32_t KvSequence::RoomInStep() const {
  if (options_.compact == nullptr) return std::numeric_limits<int32_t>::max();
  return kCompactStep - length() % kCompactStep;
}

void KvSequence::Compact(base::ThreadPool& pool) {
  if (options_.compact == nullptr || committed_ != length()) return;
  const CompactRule& rule = options_.compact->rule();
  const int32_t end = rule.EndBlock(committed_);
  const int32_t first = std::max(rule.FirstBlock(), compact_end_);
  if (end <= first) return;
  struct Place {
    int layer;
    int kv_head;
    int32_t block;
  };
  std::vector<Place> places;
  for (int32_t block = first; block < end; ++block) {
    for (int layer = 0; layer < shape_.layers; ++layer) {
      if (block < first_block_[static_cast<size_t>(layer)]) continue;
      for (int head = 0; head < shape_.kv_heads; ++head) {
        if (!PageOf(layer, head, block).compact()) places.push_back({layer, head, block});
      }
    }
  }
  std::vector<PageFloats> floats(static_cast<size_t>(pool.size()));  // of each thread, used again for the next page
  pool.ForDynamic(static_cast<int64_t>(places.size()), 1, [&](int64_t begin, int64_t last, int thread) {
    for (int64_t i = begin; i < last; ++i) {
      const Place& place = places[static_cast<size_t>(i)];
      EncodePage(place.layer, place.kv_head, place.block, &floats[static_cast<size_t>(thread)]);
    }
  });
  for (int32_t block = first; block < end; ++block) ShowCompact(block);
  const auto open =
      std::ranges::find_if(places, [&](const Place& p) { return !PageOf(p.layer, p.kv_head, p.block).compact(); });
  compact_end_ = open == places.end() ? end : open->block;
  RefreshRefs(first);
}

// Replaces an open page by a compact one. Where the pool has no room for both at once, the page stays open: that costs
// memory, nothing else, and the next call tries again.
void KvSequence::EncodePage(int layer, int kv_head, int32_t block, PageFloats* floats) {
  const CompactStore& store = *options_.compact;
  auto compact = pool_->Allocate(store.PageBytes(layer));
  if (!compact) return;
  Page& page = PageOf(layer, kv_head, block);
  floats->keys.clear();
  floats->values.clear();
  reader().Append(layer, kv_head, RefTo(page, block * kPageTokens), &floats->keys, &floats->values);
  store.Encode(layer, kv_head, block * kPageTokens, floats->keys, floats->values, compact->data());
  compact->MarkCompact();
  page = std::move(*compact);
}

// Tells the observers of a block that has become compact, and takes over the pages that they had.
void KvSequence::ShowCompact(int32_t block) {
  if (observers_.empty()) return;
  std::vector<Page> pages(tables_.size());
  for (int layer = 0; layer < shape_.layers; ++layer) {
    if (block < first_block_[static_cast<size_t>(layer)]) continue;
    for (int head = 0; head < shape_.kv_heads; ++head) pages[index(layer, head)] = PageOf(layer, head, block);
  }
  for (SealObserver* observer : observers_) observer->OnCompact(sealed_[static_cast<size_t>(block)], pages);
  for (int layer = 0; layer < shape_.layers; ++layer) {
    if (block < first_block_[static_cast<size_t>(layer)]) continue;
    for (int head = 0; head < shape_.kv_heads; ++head) PageOf(layer, head, block) = pages[index(layer, head)];
  }
}

// Writes a copy of a compact page into `open`.
void KvSequence::OpenPage(int layer, int kv_head, const Page& page, int32_t first_position, Page& open) const {
  std::vector<float> keys, values;
  reader().Append(layer, kv_head, RefTo(page, first_position), &keys, &values);
  codec_->Encode(kernels::TableOf(kernels::ChosenIsa()), open.data(), shape_.head_dim, keys.data(), values.data());
}

}  // namespace kvasir::kvcache
