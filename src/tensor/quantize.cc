// The reference quantisers: round to nearest on a grid fixed by the block's extremes.
//
// The problem: write blocks that every other reader and writer of the format agrees on, bit for bit. The idea is the
// formats' own definition, so there is nothing to choose: symmetric formats (Q4_0, Q5_0) map the value of largest
// magnitude to code 0, so that the unbalanced grid -8..7 loses nothing at its far end; formats with a minimum span
// [min, max]; Q8_0 spans [-amax, amax]. Codes are computed with the float32 inverse of the scale *before* the scale is
// rounded to f16: readers see the rounded scale, but parity needs the unrounded one here.
#include "tensor/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "tensor/blocks.h"
#include "tensor/half.h"

namespace kvasir::tensor {
namespace {

float InverseOrZero(float d) {
  return d == 0.0f ? 0.0f : 1.0f / d;
}

/// Truncates to a code in 0..max. Written so that NaN gives 0: the conversion is defined for every input.
uint8_t ToCode(float value, int max) {
  if (!(value > 0.0f)) return 0;
  return static_cast<uint8_t>(std::min(value, static_cast<float>(max)));
}

/// The first value of largest magnitude, with its sign.
float SignedExtreme(const float* x) {
  float extreme = x[0];
  for (int e = 1; e < kSmallBlock; ++e) {
    if (std::fabs(x[e]) > std::fabs(extreme)) extreme = x[e];
  }
  return extreme;
}

struct Span {
  float min;
  float max;
};

Span MinMax(const float* x) {
  const auto [low, high] = std::minmax_element(x, x + kSmallBlock);
  return {*low, *high};
}

void PackNibbles(const uint8_t* codes, uint8_t* packed) {
  for (int j = 0; j < 16; ++j) packed[j] = static_cast<uint8_t>((codes[j] & 15) | (codes[j + 16] << 4));
}

uint32_t PackFifthBits(const uint8_t* codes) {
  uint32_t high = 0;
  for (int e = 0; e < kSmallBlock; ++e) high |= static_cast<uint32_t>(codes[e] >> 4) << e;
  return high;
}

void QuantizeBlock(const float* x, BlockQ4_0& block) {
  const float d = SignedExtreme(x) / -8.0f;
  const float inverse = InverseOrZero(d);
  uint8_t codes[kSmallBlock];
  for (int e = 0; e < kSmallBlock; ++e) codes[e] = ToCode(x[e] * inverse + 8.5f, 15);
  block.d = F32ToF16(d);
  PackNibbles(codes, block.codes);
}

void QuantizeBlock(const float* x, BlockQ4_1& block) {
  const Span span = MinMax(x);
  const float d = (span.max - span.min) / 15.0f;
  const float inverse = InverseOrZero(d);
  uint8_t codes[kSmallBlock];
  for (int e = 0; e < kSmallBlock; ++e) codes[e] = ToCode((x[e] - span.min) * inverse + 0.5f, 15);
  block.d = F32ToF16(d);
  block.m = F32ToF16(span.min);
  PackNibbles(codes, block.codes);
}

void QuantizeBlock(const float* x, BlockQ5_0& block) {
  const float d = SignedExtreme(x) / -16.0f;
  const float inverse = InverseOrZero(d);
  uint8_t codes[kSmallBlock];
  for (int e = 0; e < kSmallBlock; ++e) codes[e] = ToCode(x[e] * inverse + 16.5f, 31);
  block.d = F32ToF16(d);
  block.high = PackFifthBits(codes);
  PackNibbles(codes, block.codes);
}

void QuantizeBlock(const float* x, BlockQ5_1& block) {
  const Span span = MinMax(x);
  const float d = (span.max - span.min) / 31.0f;
  const float inverse = InverseOrZero(d);
  uint8_t codes[kSmallBlock];
  for (int e = 0; e < kSmallBlock; ++e) codes[e] = ToCode((x[e] - span.min) * inverse + 0.5f, 31);
  block.d = F32ToF16(d);
  block.m = F32ToF16(span.min);
  block.high = PackFifthBits(codes);
  PackNibbles(codes, block.codes);
}

void QuantizeBlock(const float* x, BlockQ8_0& block) {
  const float d = std::fabs(SignedExtreme(x)) / 127.0f;
  const float inverse = InverseOrZero(d);
  for (int e = 0; e < kSmallBlock; ++e) {
    const float rounded = std::round(x[e] * inverse);  // halves away from zero
    block.codes[e] = std::isnan(rounded) ? int8_t{0} : static_cast<int8_t>(std::clamp(rounded, -127.0f, 127.0f));
  }
  block.d = F32ToF16(d);
}

template <typename Block>
void QuantizeBlocks(const float* src, void* dst, int64_t n) {
  auto* blocks = static_cast<Block*>(dst);
  for (int64_t b = 0; b < n / kSmallBlock; ++b) QuantizeBlock(src + b * kSmallBlock, blocks[b]);
}

template <uint16_t (*kConvert)(float)>
void ConvertRow(const float* src, void* dst, int64_t n) {
  auto* bytes = static_cast<char*>(dst);
  for (int64_t i = 0; i < n; ++i) {
    const uint16_t bits = kConvert(src[i]);
    std::memcpy(bytes + 2 * i, &bits, sizeof bits);
  }
}

}  // namespace

bool CanQuantize(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kQ4_0:
    case DType::kQ4_1:
    case DType::kQ5_0:
    case DType::kQ5_1:
    case DType::kQ8_0: return true;
    default: return false;
  }
}

void QuantizeRow(DType dtype, const float* src, void* dst, int64_t n) {
  KV_CHECK(CanQuantize(dtype) && n >= 0 && n % Traits(dtype).block_elements == 0);
  switch (dtype) {
    case DType::kF32: std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float)); return;
    case DType::kF16: return ConvertRow<F32ToF16>(src, dst, n);
    case DType::kBF16: return ConvertRow<F32ToBf16>(src, dst, n);
    case DType::kQ4_0: return QuantizeBlocks<BlockQ4_0>(src, dst, n);
    case DType::kQ4_1: return QuantizeBlocks<BlockQ4_1>(src, dst, n);
    case DType::kQ5_0: return QuantizeBlocks<BlockQ5_0>(src, dst, n);
    case DType::kQ5_1: return QuantizeBlocks<BlockQ5_1>(src, dst, n);
    case DType::kQ8_0: return QuantizeBlocks<BlockQ8_0>(src, dst, n);
    default: KV_CHECK(false);
  }
}

}  // namespace kvasir::tensor
