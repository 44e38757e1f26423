// The rotation of halves that are stored rotated: each block of 32 features times Sylvester's matrix of +1 and -1,
// which spreads one large feature over all of its block. The matrix of n features is n times its own inverse, and the
// product takes n log2(n) sums and differences.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/kernels.h"

namespace kvasir::kvcache {

/// x = H x for each block of features of x [D][kColumns]. A last block may be shorter; its size too is a power of two.
template <int kColumns>
void RotateBlocks(int head_dim, float* x) {
  for (int first = 0; first < head_dim; first += kernels::kQ8BlockFeatures) {
    const int block = std::min(kernels::kQ8BlockFeatures, head_dim - first);
    for (int half = 1; half < block; half *= 2) {
      for (int d = 0; d < block; ++d) {
        if ((d & half) != 0) continue;
        float* a = x + static_cast<size_t>(first + d) * kColumns;
        float* b = a + static_cast<size_t>(half) * kColumns;
        for (int column = 0; column < kColumns; ++column) {
          const float sum = a[column] + b[column];
          b[column] = a[column] - b[column];
          a[column] = sum;
        }
      }
    }
  }
}

/// Undoes RotateBlocks up to rounding: x = H x / n.
template <int kColumns>
void RotateBlocksBack(int head_dim, float* x) {
  RotateBlocks<kColumns>(head_dim, x);
  for (int first = 0; first < head_dim; first += kernels::kQ8BlockFeatures) {
    const int block = std::min(kernels::kQ8BlockFeatures, head_dim - first);
    float* rows = x + static_cast<size_t>(first) * kColumns;
    for (int i = 0; i < block * kColumns; ++i) rows[i] /= static_cast<float>(block);
  }
}

}  // namespace kvasir::kvcache
