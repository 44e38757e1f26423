// Dequantisation, one short function per format.
//
// The problem: give back the float32 values that the codes of a block stand for, with the very bits that the format's
// reference computes, at the speed of memory, because exact mode dequantises whole models on the fly. The idea: each
// function states the formula of blocks.h over loops of a fixed length with no branch in them, which the compiler turns
// into vector code; the order of the roundings (scale times sub-scale first, then times code, then minus minimum) is
// part of the format. Packed nibbles are first widened to bytes on the stack: it keeps the float loop a plain map over
// consecutive elements.
#include "tensor/dequantize.h"

#include <bit>
#include <cstring>

#include "base/check.h"
#include "tensor/blocks.h"
#include "tensor/half.h"

namespace kvasir::tensor {
namespace {

/// The nibbles of 16 bytes as 32 codes: low nibbles first.
struct Codes32 {
  uint8_t value[32];
};

Codes32 UnpackNibbles(const uint8_t* packed) {
  Codes32 codes;
  for (int j = 0; j < 16; ++j) codes.value[j] = packed[j] & 15;
  for (int j = 0; j < 16; ++j) codes.value[j + 16] = packed[j] >> 4;
  return codes;
}

/// Byte i of the result is bit i of `bits`. Plain vector code has no shift by a different count per lane, so eight
/// lanes are made in one 64-bit word: copy the byte to all lanes, keep bit i in lane i, and carry it to the lane's top
/// bit.
uint64_t SpreadBits(uint8_t bits) {
  const uint64_t one_hot = bits * 0x0101010101010101u & 0x8040201008040201u;
  return ((one_hot + 0x7f7f7f7f7f7f7f7fu) >> 7) & 0x0101010101010101u;
}

/// The same 32 codes with bit e of `high` as the fifth bit of code e.
Codes32 UnpackFiveBits(const uint8_t* packed, uint32_t high) {
  Codes32 codes = UnpackNibbles(packed);
  for (int group = 0; group < 4; ++group) {
    uint64_t eight;
    std::memcpy(&eight, codes.value + 8 * group, sizeof eight);
    eight |= SpreadBits(static_cast<uint8_t>(high >> (8 * group))) << 4;
    std::memcpy(codes.value + 8 * group, &eight, sizeof eight);
  }
  return codes;
}

void DequantizeBlock(const BlockQ4_0& block, float* dst) {
  const float d = F16ToF32(block.d);
  const Codes32 codes = UnpackNibbles(block.codes);
  for (int e = 0; e < 32; ++e) dst[e] = d * static_cast<float>(codes.value[e] - 8);
}

void DequantizeBlock(const BlockQ4_1& block, float* dst) {
  const float d = F16ToF32(block.d);
  const float m = F16ToF32(block.m);
  const Codes32 codes = UnpackNibbles(block.codes);
  for (int e = 0; e < 32; ++e) dst[e] = d * static_cast<float>(codes.value[e]) + m;
}

void DequantizeBlock(const BlockQ5_0& block, float* dst) {
  const float d = F16ToF32(block.d);
  const Codes32 codes = UnpackFiveBits(block.codes, block.high);
  for (int e = 0; e < 32; ++e) dst[e] = d * static_cast<float>(codes.value[e] - 16);
}

void DequantizeBlock(const BlockQ5_1& block, float* dst) {
  const float d = F16ToF32(block.d);
  const float m = F16ToF32(block.m);
  const Codes32 codes = UnpackFiveBits(block.codes, block.high);
  for (int e = 0; e < 32; ++e) dst[e] = d * static_cast<float>(codes.value[e]) + m;
}

void DequantizeBlock(const BlockQ8_0& block, float* dst) {
  const float d = F16ToF32(block.d);
  for (int e = 0; e < 32; ++e) dst[e] = static_cast<float>(block.codes[e]) * d;
}

void DequantizeBlock(const BlockQ2_K& block, float* dst) {
  const float d = F16ToF32(block.d);
  const float d_min = F16ToF32(block.d_min);
  for (int s = 0; s < 16; ++s) {
    const float scale = d * static_cast<float>(block.scales[s] & 15);
    const float min = d_min * static_cast<float>(block.scales[s] >> 4);
    const uint8_t* codes = block.codes + 32 * (s / 8) + 16 * (s % 2);
    const int shift = 2 * ((s / 2) % 4);
    for (int l = 0; l < 16; ++l) dst[16 * s + l] = scale * static_cast<float>((codes[l] >> shift) & 3) - min;
  }
}

void DequantizeBlock(const BlockQ3_K& block, float* dst) {
  const float d = F16ToF32(block.d);
  const std::array<uint8_t, 16> scales = UnpackQ3KScales(block.scales);
  for (int s = 0; s < 16; ++s) {
    const float scale = d * static_cast<float>(scales[s] - 32);
    const uint8_t* codes = block.codes + 32 * (s / 8) + 16 * (s % 2);
    const uint8_t* high = block.high + 16 * (s % 2);
    const int shift = 2 * ((s / 2) % 4);
    const int plane = s / 2;
    for (int l = 0; l < 16; ++l) {
      const int code = ((codes[l] >> shift) & 3) + 4 * ((high[l] >> plane) & 1) - 4;
      dst[16 * s + l] = scale * static_cast<float>(code);
    }
  }
}

void DequantizeBlock(const BlockQ4_K& block, float* dst) {
  const float d = F16ToF32(block.d);
  const float d_min = F16ToF32(block.d_min);
  const KScales scales = UnpackKScales(block.scales);
  for (int s = 0; s < 8; ++s) {
    const float scale = d * static_cast<float>(scales.scale[s]);
    const float min = d_min * static_cast<float>(scales.min[s]);
    const uint8_t* codes = block.codes + 32 * (s / 2);
    const int shift = 4 * (s % 2);
    for (int l = 0; l < 32; ++l) dst[32 * s + l] = scale * static_cast<float>((codes[l] >> shift) & 15) - min;
  }
}

void DequantizeBlock(const BlockQ5_K& block, float* dst) {
  const float d = F16ToF32(block.d);
  const float d_min = F16ToF32(block.d_min);
  const KScales scales = UnpackKScales(block.scales);
  for (int s = 0; s < 8; ++s) {
    const float scale = d * static_cast<float>(scales.scale[s]);
    const float min = d_min * static_cast<float>(scales.min[s]);
    const uint8_t* codes = block.codes + 32 * (s / 2);
    const int shift = 4 * (s % 2);
    for (int l = 0; l < 32; ++l) {
      const int code = ((codes[l] >> shift) & 15) | (((block.high[l] >> s) & 1) << 4);
      dst[32 * s + l] = scale * static_cast<float>(code) - min;
    }
  }
}

void DequantizeBlock(const BlockQ6_K& block, float* dst) {
  const float d = F16ToF32(block.d);
  for (int s = 0; s < 16; ++s) {
    const float scale = d * static_cast<float>(block.scales[s]);
    const int half = s / 8;
    const int quarter = (s / 2) % 4;
    const int offset = 16 * (s % 2);
    const uint8_t* low = block.low + 64 * half + 32 * (quarter & 1) + offset;
    const uint8_t* high = block.high + 32 * half + offset;
    const int low_shift = 4 * (quarter / 2);
    const int high_shift = 2 * quarter;
    for (int l = 0; l < 16; ++l) {
      const int code = (((low[l] >> low_shift) & 15) | (((high[l] >> high_shift) & 3) << 4)) - 32;
      dst[16 * s + l] = scale * static_cast<float>(code);
    }
  }
}

/// 32 codes that are indices into a table of 16 levels: the levels are scaled once, then looked up.
void DequantizeLevels(const uint8_t* packed, const std::array<int8_t, 16>& levels, float scale, float* dst) {
  float scaled[16];
  for (int q = 0; q < 16; ++q) scaled[q] = scale * static_cast<float>(levels[q]);
  for (int j = 0; j < 16; ++j) {
    dst[j] = scaled[packed[j] & 15];
    dst[j + 16] = scaled[packed[j] >> 4];
  }
}

void DequantizeBlock(const BlockIQ4_NL& block, float* dst) {
  DequantizeLevels(block.codes, kIQ4Values, F16ToF32(block.d), dst);
}

void DequantizeBlock(const BlockIQ4_XS& block, float* dst) {
  const float d = F16ToF32(block.d);
  for (int s = 0; s < 8; ++s) {
    const int low = (block.scales_low[s / 2] >> (4 * (s % 2))) & 15;
    const int high = (block.scales_high >> (2 * s)) & 3;
    const float scale = d * static_cast<float>((low | (high << 4)) - 32);
    DequantizeLevels(block.codes + 16 * s, kIQ4Values, scale, dst + 32 * s);
  }
}

void DequantizeBlock(const BlockMXFP4& block, float* dst) {
  DequantizeLevels(block.codes, kMXFP4Values, std::bit_cast<float>(MXFP4ScaleBits(block.exponent)), dst);
}

template <typename Block>
void DequantizeBlocks(const void* src, float* dst, int64_t n, int block_elements) {
  const auto* blocks = static_cast<const Block*>(src);
  for (int64_t b = 0; b < n / block_elements; ++b) DequantizeBlock(blocks[b], dst + b * block_elements);
}

void DequantizeF16(const void* src, float* dst, int64_t n) {
  const auto* bytes = static_cast<const char*>(src);
  for (int64_t i = 0; i < n; ++i) {
    uint16_t half;
    std::memcpy(&half, bytes + 2 * i, sizeof half);
    dst[i] = F16ToF32(half);
  }
}

void DequantizeBF16(const void* src, float* dst, int64_t n) {
  const auto* bytes = static_cast<const char*>(src);
  for (int64_t i = 0; i < n; ++i) {
    uint16_t bfloat;
    std::memcpy(&bfloat, bytes + 2 * i, sizeof bfloat);
    dst[i] = Bf16ToF32(bfloat);
  }
}

}  // namespace

void DequantizeRow(DType dtype, const void* src, float* dst, int64_t n) {
  const DTypeTraits traits = Traits(dtype);
  KV_CHECK(traits.dequantisable && n >= 0 && n % traits.block_elements == 0);
  switch (dtype) {
    case DType::kF32: std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float)); return;
    case DType::kF16: return DequantizeF16(src, dst, n);
    case DType::kBF16: return DequantizeBF16(src, dst, n);
    case DType::kQ4_0: return DequantizeBlocks<BlockQ4_0>(src, dst, n, kSmallBlock);
    case DType::kQ4_1: return DequantizeBlocks<BlockQ4_1>(src, dst, n, kSmallBlock);
    case DType::kQ5_0: return DequantizeBlocks<BlockQ5_0>(src, dst, n, kSmallBlock);
    case DType::kQ5_1: return DequantizeBlocks<BlockQ5_1>(src, dst, n, kSmallBlock);
    case DType::kQ8_0: return DequantizeBlocks<BlockQ8_0>(src, dst, n, kSmallBlock);
    case DType::kIQ4_NL: return DequantizeBlocks<BlockIQ4_NL>(src, dst, n, kSmallBlock);
    case DType::kMXFP4: return DequantizeBlocks<BlockMXFP4>(src, dst, n, kSmallBlock);
    case DType::kQ2_K: return DequantizeBlocks<BlockQ2_K>(src, dst, n, kSuperBlock);
    case DType::kQ3_K: return DequantizeBlocks<BlockQ3_K>(src, dst, n, kSuperBlock);
    case DType::kQ4_K: return DequantizeBlocks<BlockQ4_K>(src, dst, n, kSuperBlock);
    case DType::kQ5_K: return DequantizeBlocks<BlockQ5_K>(src, dst, n, kSuperBlock);
    case DType::kQ6_K: return DequantizeBlocks<BlockQ6_K>(src, dst, n, kSuperBlock);
    case DType::kIQ4_XS: return DequantizeBlocks<BlockIQ4_XS>(src, dst, n, kSuperBlock);
    default: KV_CHECK(false);
  }
}

}  // namespace kvasir::tensor
