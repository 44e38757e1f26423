// Reading pages back as floats, whatever way they are stored.
#pragma once

#include <vector>

#include "kernels/kernels.h"
#include "kvcache/compact_store.h"

namespace kvasir::kvcache {

/// Reads the pages of a sequence's tables. Plain data; thread-safe.
struct PageReader {
  kernels::PageFormat open = kernels::PageFormat::kF16;  ///< of pages that are not compact
  const CompactStore* compact = nullptr;                 ///< Null where no page is compact.
  int head_dim = 0;

  /// Puts the keys and the values [page.count][D] of a page of (layer, KV head), as attention sees them, behind what
  /// `keys` and `values` hold already.
  void Append(int layer, int kv_head, const kernels::PageRef& page, std::vector<float>* keys,
              std::vector<float>* values) const;
};

}  // namespace kvasir::kvcache
