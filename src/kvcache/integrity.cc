// What must hold for a sequence between any two operations.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/check.h"
#include "kvcache/kv_sequence.h"

namespace kvasir::kvcache {
namespace {

Status Broken(std::string what) {
  return Fail(ErrorCode::kCorrupt, "cache sequence: " + std::move(what) + ". This is a bug in Kvasir.");
}

}  // namespace

Status KvSequence::CheckIntegrity() const {
  if (committed_ < 0 || committed_ > length()) {
    return Broken(fmt::format("{} tokens committed of {}", committed_, length()));
  }
  if (sealed_.size() != static_cast<size_t>(committed_ / kernels::kPageTokens)) {
    return Broken(fmt::format("{} blocks sealed for {} committed tokens", sealed_.size(), committed_));
  }
  for (size_t block = 0; block < sealed_.size(); ++block) {
    if (sealed_[block] != HashOf(block)) return Broken(fmt::format("block {} has a wrong hash", block));
  }
  if (origins_.size() > static_cast<size_t>(num_blocks())) {
    return Broken(fmt::format("origins of {} blocks, but there are {}", origins_.size(), num_blocks()));
  }
  std::unordered_set<const std::byte*> seen;
  for (int layer = 0; layer < shape_.layers; ++layer) {
    const int32_t needed = NeededBlock(layer, committed_);
    if (first_block_[static_cast<size_t>(layer)] > needed) {
      return Broken(fmt::format("layer {} released block {}, which a query at {} sees", layer, needed, committed_));
    }
    for (int head = 0; head < shape_.kv_heads; ++head) {
      KV_TRY(CheckTable(layer, head));
      const HeadTable& table = tables_[index(layer, head)];
      for (const std::vector<Page>* pages : {&table.packed, &table.pages}) {
        for (const Page& page : *pages) {
          if (seen.insert(page.data()).second) continue;
          return Broken(fmt::format("layer {} head {} has a page of another place", layer, head));
        }
      }
      KV_TRY(CheckPacked(layer, head));
    }
  }
  return {};
}

// What an eviction has kept.
Status KvSequence::CheckPacked(int layer, int kv_head) const {
  const HeadTable& table = tables_[index(layer, kv_head)];
  const auto broken = [&](std::string_view what) {
    return Broken(fmt::format("layer {} head {}: {}", layer, kv_head, what));
  };
  const auto tokens = static_cast<int32_t>(table.packed_positions.size());
  const int32_t end = first_block_[static_cast<size_t>(layer)] * kernels::kPageTokens;
  if (static_cast<size_t>(BlocksFor(tokens)) != table.packed.size()) return broken("packed pages do not match tokens");
  if (tokens > end) return broken("more packed tokens than there were");
  if (!std::ranges::is_sorted(table.packed_positions)) return broken("packed tokens are out of order");
  if (tokens > 0 && (table.packed_positions.front() < 0 || table.packed_positions.back() >= end)) {
    return broken("a packed token is from behind the packed pages");
  }
  for (size_t i = 0; i < table.packed.size(); ++i) {
    const auto position = static_cast<int32_t>(i) * kernels::kPageTokens;
    const kernels::PageRef& ref = table.refs[i];
    if (ref.data != table.packed[i].data() || ref.first_position != position ||
        ref.count != std::min(kernels::kPageTokens, tokens - position) || ref.compact != table.packed[i].compact()) {
      return broken("a packed page is shown as another");
    }
  }
  return {};
}

Status KvSequence::CheckTable(int layer, int kv_head) const {
  const HeadTable& table = tables_[index(layer, kv_head)];
  const int32_t first_block = first_block_[static_cast<size_t>(layer)];
  const auto place = [&](size_t i) { return fmt::format("layer {} head {} page {}", layer, kv_head, i); };
  if (first_block < 0 || table.pages.size() != static_cast<size_t>(num_blocks() - first_block)) {
    return Broken(
        fmt::format("{} has {} pages for blocks {} to {}", place(0), table.pages.size(), first_block, num_blocks()));
  }
  const auto shown = heads_[index(layer, kv_head)].refs;
  if (shown.data() != table.refs.data() || shown.size() != table.packed.size() + table.pages.size()) {
    return Broken(place(0) + ": the view does not show the table");
  }
  const auto refs = shown.subspan(table.packed.size());
  for (size_t i = 0; i < table.pages.size(); ++i) {
    const Page& page = table.pages[i];
    if (!page || page.bytes() < page_bytes(layer, page)) return Broken(place(i) + " is missing or too small");
    const int32_t position = (first_block + static_cast<int32_t>(i)) * kernels::kPageTokens;
    const int32_t count = std::min(kernels::kPageTokens, length() - position);
    if (refs[i].data != page.data() || refs[i].first_position != position || refs[i].count != count) {
      return Broken(fmt::format("{} is shown as {} tokens from {} instead of {} from {}", place(i), refs[i].count,
                                refs[i].first_position, count, position));
    }
    if (page.compact() != refs[i].compact) return Broken(place(i) + " is shown in the wrong format");
    if (position + count > committed_ && !page.unique()) return Broken(place(i) + " is to be written but is shared");
    if (count < kernels::kPageTokens && length() > committed_ && page.compact()) {
      return Broken(place(i) + " is to be written but is compact");
    }
  }
  return {};
}

}  // namespace kvasir::kvcache
