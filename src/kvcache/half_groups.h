// Where the elements of a half's groups stand in x [D][64], features by tokens, the order in which encoders work.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/compact_page.h"

namespace kvasir::kvcache {

/// One group: `size` elements from `first` on, `stride` apart.
struct HalfGroup {
  size_t first = 0;
  size_t stride = 1;
  int size = 0;
};

/// Group `index` of ScalesOf(half, head_dim), in the order of their scales.
inline HalfGroup GroupAt(const kernels::CompactHalf& half, int head_dim, size_t index) {
  constexpr size_t kTokens = kernels::kPageTokens;
  if (half.grouping == kernels::Grouping::kChannels) {  // scales [64 / group][D]
    const size_t features = static_cast<size_t>(head_dim);
    return {.first = index % features * kTokens + index / features * half.group, .stride = 1, .size = half.group};
  }
  const size_t feature = index / kTokens * half.group;  // scales [ceil(D / group)][64]
  return {.first = feature * kTokens + index % kTokens,
          .stride = kTokens,
          .size = std::min<int>(half.group, head_dim - static_cast<int>(feature))};
}

}  // namespace kvasir::kvcache
