// What the files of packing share: a range of panels, and fields of four rows read at once as vectors.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/kernels.h"
#include "tensor/dtype.h"

namespace kvasir::kernels {

/// The panels [panel_begin, panel_end) of a matrix [n, k]; `source` and `panels` point to row 0 and panel 0.
struct PackRange {
  const std::byte* source;
  int64_t n;
  int64_t k;
  int64_t panel_begin;
  int64_t panel_end;
  std::byte* panels;

  /// Rows of `panel` that the matrix has; the others of the 16 are padding.
  [[nodiscard]] int RowsOf(int64_t panel) const {
    return static_cast<int>(std::min<int64_t>(kPanelRows, n - panel * kPanelRows));
  }
};

/// Packs blocks of `dtype` for the integer kernels, as PackPanels in pack.h.
[[nodiscard]] bool PackQuantized(tensor::DType dtype, const PackRange& range);
/// Interleaves elements of 4 or 2 bytes as they are.
void Interleave(const PackRange& range, int element_bytes);
/// Dequantises rows of any dtype and interleaves them as `format`.
void ConvertDense(tensor::DType dtype, const PackRange& range, DenseFormat format);

/// Rows that are handled together. Vectors of 16 bytes exist on every 64-bit CPU, and are enough to keep up with
/// memory.
inline constexpr int kQuad = 4;

/// One 32-bit word, or one float, of each of four rows. A compiler extension that GCC and Clang share.
using Word4 = uint32_t __attribute__((vector_size(16)));
using Int4 = int32_t __attribute__((vector_size(16)));
using Float4 = float __attribute__((vector_size(16)));
using Half4 = uint16_t __attribute__((vector_size(8)));

/// The same block of four rows.
struct FourRows {
  const std::byte* at[kQuad];

  /// Words 0..3 at byte `offset` of the blocks: out[j] is word j of each row (a 4 x 4 transposition).
  void Words(size_t offset, Word4* out) const {
    Word4 row[kQuad];
    for (int r = 0; r < kQuad; ++r) std::memcpy(&row[r], at[r] + offset, sizeof(Word4));
    const Word4 ab_low = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    const Word4 ab_high = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const Word4 cd_low = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    const Word4 cd_high = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    out[0] = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    out[1] = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    out[2] = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    out[3] = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
  }

  /// The field of type T at byte `offset`, widened to 32 bits.
  template <typename T>
  [[nodiscard]] Word4 Field(size_t offset) const {
    T value[kQuad];
    for (int r = 0; r < kQuad; ++r) std::memcpy(&value[r], at[r] + offset, sizeof(T));
    return Word4{value[0], value[1], value[2], value[3]};
  }
};

/// Writes the low half of each word as four neighbours of 16 bits.
inline void StoreHalves(std::byte* out, Word4 words) {
  const Half4 halves = __builtin_convertvector(words, Half4);
  std::memcpy(out, &halves, sizeof halves);
}

inline void StoreWords(std::byte* out, Word4 words) {
  std::memcpy(out, &words, sizeof words);
}

}  // namespace kvasir::kernels
