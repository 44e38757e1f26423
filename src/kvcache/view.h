// What a forward pass sees of a sequence's cache: page tables and nothing else. Plain data; the sequence that made it
// owns the pages and must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/compact_page.h"
#include "kernels/kernels.h"

namespace kvasir::kvcache {

/// The pages of one (layer, KV head), in order of position. `refs` hold data pointers and token counts that already
/// include the tokens of the step in progress (KvSequence::Extend reserved them).
struct HeadPages {
  std::span<const kernels::PageRef> refs;
};

/// Where a token of the step in progress is to be written.
struct WriteSlot {
  std::byte* page = nullptr;
  int slot = 0;
};

/// One sequence. [L layers][KVH heads].
struct KvView {
  kernels::PageFormat format = kernels::PageFormat::kF16;  // of open pages
  std::span<const kernels::CompactFormat> compact;         // [L] of compact ones; empty where there are none
  int num_layers = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  int32_t first_new_position = 0;    // position of the first token of the step in progress
  int num_new = 0;                   // tokens of the step in progress
  std::span<const HeadPages> heads;  // [L * KVH]

  const HeadPages& pages(int layer, int kv_head) const {
    return heads[static_cast<size_t>(layer) * num_kv_heads + kv_head];
  }

  /// The slot of the i-th new token (0 <= i < num_new): the last num_new slots of the page table, in order.
  WriteSlot slot(int layer, int kv_head, int i) const;
};

}  // namespace kvasir::kvcache
