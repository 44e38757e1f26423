#include "kvcache/view.h"

namespace kvasir::kvcache {

WriteSlot KvView::slot(int layer, int kv_head, int i) const {
  const std::span<const kernels::PageRef> refs = pages(layer, kv_head).refs;
  size_t page = refs.size() - 1;
  int behind = num_new - 1 - i;  // new tokens after this one
  while (behind >= refs[page].count) {
    behind -= refs[page].count;
    --page;
  }
  // The view hands out read-only pages; the ones that the step extends belong to this sequence alone.
  return {.page = const_cast<std::byte*>(refs[page].data), .slot = refs[page].count - 1 - behind};
}

}  // namespace kvasir::kvcache
