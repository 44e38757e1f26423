// Packing and unpacking halves of compact pages: the meeting point of encoders and kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/compact_page.h"
#include "kvasir/result.h"

namespace kvasir::kernels {

/// An element that is stored exactly, up to the rounding of f16.
struct Outlier {
  uint16_t feature = 0;
  uint16_t slot = 0;
  float difference = 0;  // the element less offset + scale * level[code]
};

/// What an encoder makes of one half.
struct HalfCodes {
  std::vector<uint8_t> codes;     // [64][D], each below 2^bits; with 8 bits the signed byte's bits
  std::vector<float> scales;      // [64 / group][D] by channel, [ceil(D / group)][64] by token
  std::vector<float> offsets;     // alike; empty without offsets
  std::vector<Outlier> outliers;  // at most CompactHalf::outliers
};

/// Whether kernels can read pages of `format`; kInvalidArgument names what they cannot.
[[nodiscard]] Status CheckCompact(const CompactFormat& format, int head_dim);

/// What a scale, an offset or a difference is stored as: the nearest f16, saturating; a NaN stays one.
[[nodiscard]] float StoredNumber(float x);

/// Writes HalfBytes(half, head_dim) bytes, all of them: unused places are zero, so that equal codes are equal bytes.
void PackHalf(const CompactHalf& half, bool keys, int head_dim, const HalfCodes& codes, std::byte* page_half);

/// The half as attention sees it, x [64][D]: still rotated, and before RoPE, where it is stored so.
void UnpackHalf(const CompactHalf& half, bool keys, int head_dim, const std::byte* page_half, float* x);

}  // namespace kvasir::kernels
