// Reading packed blocks and quantised rows value by value, as kernels.h defines them. Plain and slow: for the reference
// kernels and tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/kernels.h"
#include "tensor/half.h"

namespace kvasir::kernels {

/// The block of panel `panel` that holds k = 32 * block .. 32 * block + 31.
inline const std::byte* BlockAt(const PackedWeights& weights, int64_t panel, int64_t block) {
  return weights.panels + (panel * (weights.k / kBlockK) + block) * TraitsOf(weights.format).block_bytes;
}

/// The scale of row r for the group of k that holds k = 0..31 of the block.
inline float ScaleOf(const PackedTraits& traits, const std::byte* block, int r, int k) {
  uint16_t half;
  std::memcpy(&half, block + 2 * (k / traits.group * kPanelRows + r), sizeof half);
  return tensor::F16ToF32(half);
}

/// Its min, for formats that have one.
inline float MinOf(const PackedTraits& traits, const std::byte* block, int r, int k) {
  return ScaleOf(traits, block + 2 * kPanelRows * (kBlockK / traits.group), r, k);
}

/// The code of row r at k = 0..31 of the block, with the table applied but not the zero point.
inline int CodeOf(const PackedTraits& traits, const uint8_t* table, const std::byte* block, int r, int k) {
  const auto* codes =
      reinterpret_cast<const uint8_t*>(block) + 2 * kPanelRows * (kBlockK / traits.group) * (traits.has_min ? 2 : 1);
  if (traits.bits == 8) return codes[64 * (k / 4) + 4 * r + k % 4];
  const int byte = 4 * r + k % 4;
  const int low = (codes[64 * (k / 8) + byte] >> (k % 8 < 4 ? 0 : 4)) & 15;
  const uint8_t* high = codes + 4 * 64;
  if (traits.bits == 5) return low | ((high[byte] >> (k / 4)) & 1) << 4;
  if (traits.bits == 6) return low | ((high[64 * (k / 16) + byte] >> (2 * (k % 16 / 4))) & 3) << 4;
  return traits.has_table ? table[low] : low;
}

/// Where the values of one row of QuantizedRows lie.
struct RowPlace {
  int64_t first;  // row of its group
  int64_t width;  // rows of its group
  int64_t within;
};
inline RowPlace PlaceOf(const QuantizedRows& rows, int64_t row) {
  const int64_t first = row / kRowGroup * kRowGroup;
  const int64_t left = rows.rows - first;
  return {first, left < kRowGroup ? left : kRowGroup, row - first};
}
inline int8_t& CodeAt(const QuantizedRows& rows, int64_t row, int plane, int64_t k) {
  const RowPlace p = PlaceOf(rows, row);
  const int64_t four = ((k / kBlockK) * rows.planes + plane) * (kBlockK / 4) + k % kBlockK / 4;
  return rows.codes[p.first * rows.planes * rows.k + (four * p.width + p.within) * 4 + k % 4];
}
inline float& ScaleAt(const QuantizedRows& rows, int64_t row, int64_t block) {
  const RowPlace p = PlaceOf(rows, row);
  return rows.scales[p.first * (rows.k / kBlockK) + block * p.width + p.within];
}
/// The sum of the codes k = 16 * half_block ... 16 * half_block + 15.
inline int32_t& SumAt(const QuantizedRows& rows, int64_t row, int64_t half_block) {
  const RowPlace p = PlaceOf(rows, row);
  return rows.sums[p.first * (rows.k / 16) + half_block * p.width + p.within];
}
/// The code of one k, whatever the number of planes.
inline int ActivationCode(const QuantizedRows& rows, int64_t row, int64_t k) {
  const int8_t high = CodeAt(rows, row, 0, k);
  return rows.planes == 2 ? 128 * high + CodeAt(rows, row, 1, k) : high;
}

}  // namespace kvasir::kernels
