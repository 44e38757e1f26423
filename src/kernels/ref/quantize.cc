// Quantisation of activations in plain C++; the rule is written in kernels.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/packed_block.h"
#include "kernels/ref/ref.h"

namespace kvasir::kernels::ref {
namespace {

constexpr float kSmallestMax = 1e-30f;  // below it 127 / max could overflow; such a block is zero for every purpose

float MaxAbs(const float* x) {
  float max = 0;
  for (int i = 0; i < kBlockK; ++i) {
    if (std::isnan(x[i])) return std::numeric_limits<float>::quiet_NaN();
    max = std::max(max, std::abs(x[i]));
  }
  return max;
}

// Rounds to nearest even; what cannot be a code (NaN) becomes some code: the block's scale already says so.
int ToCode(float value, int limit) {
  if (!(value >= static_cast<float>(-limit))) return -limit;
  if (value > static_cast<float>(limit)) return limit;
  return static_cast<int>(std::nearbyint(value));
}

void QuantizeBlock(const float* x, int64_t b, int64_t block, const QuantizedRows& out) {
  const int limit = out.planes == 2 ? 16256 : 127;
  const float max = MaxAbs(x);
  const bool zero = max < kSmallestMax;
  const float scale = zero ? 0.0f : max / static_cast<float>(limit);
  const float inverse = zero ? 0.0f : static_cast<float>(limit) / max;
  ScaleAt(out, b, block) = scale;
  int32_t sums[2] = {};
  for (int i = 0; i < kBlockK; ++i) {
    const int code = zero ? 0 : ToCode(x[i] * inverse, limit);
    sums[i / 16] += code;
    const int high = (code + 64) >> 7;
    const int64_t k = block * kBlockK + i;
    CodeAt(out, b, 0, k) = static_cast<int8_t>(out.planes == 2 ? high : code);
    if (out.planes == 2) CodeAt(out, b, 1, k) = static_cast<int8_t>(code - 128 * high);
  }
  for (int g = 0; g < 2; ++g) SumAt(out, b, 2 * block + g) = sums[g];
}

}  // namespace

void QuantizeRows(const float* x, int64_t x_stride, int64_t begin, int64_t end, int64_t block_begin, int64_t block_end,
                  const QuantizedRows& out) {
  for (int64_t b = begin; b < end; ++b) {
    for (int64_t block = block_begin; block < block_end; ++block) {
      QuantizeBlock(x + b * x_stride + (block - block_begin) * kBlockK, b, block, out);
    }
  }
}

}  // namespace kvasir::kernels::ref
