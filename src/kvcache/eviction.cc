// Eviction: forgetting tokens that attention can do without, and really freeing their pages.
//
// The problem: which tokens matter differs from layer to layer and from head to head, but memory is freed in pages. The
// idea: page tables are per (layer, KV head), so each head keeps tokens of its own; what it keeps is packed into new
// pages, and the old ones are let go. Attention does not ask where keys lie: they are rotated by their true positions
// already, every later row sees them all, and so a packed page may stand anywhere before the pages that follow. Shared
// pages stay with their other owners untouched. Sources: H2O (arXiv:2306.14048), SnapKV (arXiv:2404.14469), Ada-KV
// (arXiv:2407.11550) for budgets by head.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "kvcache/kv_sequence.h"

namespace kvasir::kvcache {

using kernels::kPageTokens;

int32_t KvSequence::EvictableBlocks(int32_t recent) const {
  return std::max(0, (committed_ - recent) / kPageTokens);
}

std::vector<int32_t> KvSequence::HeldPositions(int layer, int kv_head, int32_t end_block) const {
  const HeadTable& table = tables_[index(layer, kv_head)];
  std::vector<int32_t> positions = table.packed_positions;
  const int32_t end = std::min(end_block * kPageTokens, committed_);
  for (int32_t position = first_block_[static_cast<size_t>(layer)] * kPageTokens; position < end; ++position) {
    positions.push_back(position);
  }
  return positions;
}

void KvSequence::ReadHead(int layer, int kv_head, int32_t end_block, std::vector<float>* keys,
                          std::vector<float>* values) const {
  const HeadTable& table = tables_[index(layer, kv_head)];
  keys->clear();
  values->clear();
  const auto blocks = static_cast<size_t>(end_block - first_block_[static_cast<size_t>(layer)]);
  for (size_t i = 0; i < table.packed.size() + blocks; ++i) {
    kernels::PageRef page = table.refs[i];
    if (i >= table.packed.size()) page.count = std::min(page.count, committed_ - page.first_position);
    reader().Append(layer, kv_head, page, keys, values);
  }
}

Status KvSequence::Evict(int layer, int32_t end_block, std::span<const std::vector<int32_t>> kept) {
  KV_CHECK(committed_ == length() && kept.size() == static_cast<size_t>(shape_.kv_heads));
  KV_CHECK(shape_.window(layer) == 0);
  KV_CHECK(end_block >= first_block_[static_cast<size_t>(layer)] && end_block * kPageTokens <= committed_);
  std::vector<HeadTable> packed(kept.size());
  for (int head = 0; head < shape_.kv_heads; ++head) {
    KV_TRY(Pack(layer, head, end_block, kept[static_cast<size_t>(head)], &packed[static_cast<size_t>(head)]));
  }
  // Beyond this point nothing can fail.
  int32_t& first_block = first_block_[static_cast<size_t>(layer)];
  for (int head = 0; head < shape_.kv_heads; ++head) {
    HeadTable& table = tables_[index(layer, head)];
    HeadTable& fresh = packed[static_cast<size_t>(head)];
    table.pages.erase(table.pages.begin(), table.pages.begin() + (end_block - first_block));
    table.packed = std::move(fresh.packed);
    table.packed_positions = std::move(fresh.packed_positions);
  }
  first_block = end_block;
  shift_floor_[static_cast<size_t>(layer)] = end_block;
  // What comes now has seen a part of the text only, and must not be taken for what the whole text gives.
  StopObserving();
  evicted_ = true;
  RefreshRefs(0);
  return {};
}

// Copies the tokens at `places` of a head into pages of `out`.
Status KvSequence::Pack(int layer, int kv_head, int32_t end_block, std::span<const int32_t> places,
                        HeadTable* out) const {
  const std::vector<int32_t> positions = HeldPositions(layer, kv_head, end_block);
  std::vector<float> keys, values;
  ReadHead(layer, kv_head, end_block, &keys, &values);
  const auto d = static_cast<size_t>(shape_.head_dim);
  const kernels::KernelTable& table = kernels::TableOf(kernels::ChosenIsa());
  std::vector<float> page_keys(kPageTokens * d);
  std::vector<float> page_values(kPageTokens * d);
  for (size_t begin = 0; begin < places.size(); begin += kPageTokens) {
    const size_t count = std::min<size_t>(kPageTokens, places.size() - begin);
    const auto block = static_cast<int32_t>(out->packed.size());
    for (size_t slot = 0; slot < kPageTokens; ++slot) {
      // A codec wants to see a full page: the last token stands in for those that are not there.
      const auto place = static_cast<size_t>(places[begin + std::min(slot, count - 1)]);
      KV_CHECK(place < positions.size());
      if (slot < count) out->packed_positions.push_back(positions[place]);
      std::copy_n(keys.begin() + static_cast<std::ptrdiff_t>(place * d), d,
                  page_keys.begin() + static_cast<std::ptrdiff_t>(slot * d));
      std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(place * d), d,
                  page_values.begin() + static_cast<std::ptrdiff_t>(slot * d));
    }
    const bool compact = options_.compact != nullptr && block >= options_.compact->rule().FirstBlock();
    KV_ASSIGN(Page page, pool_->Allocate(compact ? options_.compact->PageBytes(layer) : page_bytes()));
    if (compact) {
      options_.compact->Encode(layer, kv_head, block * kPageTokens, page_keys, page_values, page.data());
      page.MarkCompact();
    } else {
      codec_->Encode(table, page.data(), shape_.head_dim, page_keys.data(), page_values.data());
    }
    out->packed.push_back(std::move(page));
  }
  return {};
}

}  // namespace kvasir::kvcache
