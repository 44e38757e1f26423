// Matrix products in plain C++. The order of the floating-point operations is the one that kernels.h promises; the
// integer sums are exact, so theirs does not matter.
#include <cmath>
#include <cstring>

#include "kernels/packed_block.h"
#include "kernels/ref/ref.h"
#include "tensor/half.h"

namespace kvasir::kernels::ref {
namespace {

// One block of a panel, read once for all rows of activations.
struct PlainBlock {
  int value[kPanelRows][kBlockK];  // code - zero_point
  float scale[kPanelRows][kBlockK / 16];
  float min[kPanelRows][kBlockK / 16];
};

PlainBlock ReadBlock(const PackedWeights& weights, int64_t panel, int64_t index) {
  const PackedTraits traits = TraitsOf(weights.format);
  const std::byte* block = BlockAt(weights, panel, index);
  PlainBlock plain = {};
  for (int r = 0; r < kPanelRows; ++r) {
    for (int k = 0; k < kBlockK; ++k) {
      plain.value[r][k] = CodeOf(traits, weights.table, block, r, k) - traits.zero_point;
    }
    for (int g = 0; g < kBlockK / traits.group; ++g) {
      plain.scale[r][g] = ScaleOf(traits, block, r, g * traits.group);
      if (traits.has_min) plain.min[r][g] = MinOf(traits, block, r, g * traits.group);
    }
  }
  return plain;
}

void AddBlock(const PackedTraits& traits, const PlainBlock& block, const QuantizedRows& rows, int64_t row,
              int64_t index, float* acc) {
  const float a_scale = ScaleAt(rows, row, index);
  int codes[kBlockK];
  for (int k = 0; k < kBlockK; ++k) codes[k] = ActivationCode(rows, row, index * kBlockK + k);
  for (int r = 0; r < kPanelRows; ++r) {
    for (int g = 0; g < kBlockK / traits.group; ++g) {
      int32_t dot = 0;
      int32_t sum = 0;
      for (int k = g * traits.group; k < (g + 1) * traits.group; ++k) {
        dot += block.value[r][k] * codes[k];
        sum += codes[k];
      }
      acc[r] = std::fma(static_cast<float>(dot), block.scale[r][g] * a_scale, acc[r]);
      if (traits.has_min) acc[r] = std::fma(block.min[r][g], a_scale * static_cast<float>(sum), acc[r]);
    }
  }
}

float DenseAt(const DenseWeights& weights, int64_t panel, int64_t k, int r) {
  const int64_t index = (panel * weights.k + k) * kPanelRows + r;
  if (weights.format == DenseFormat::kF32) {
    float value;
    std::memcpy(&value, weights.panels + 4 * index, sizeof value);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, weights.panels + 2 * index, sizeof bits);
  return weights.format == DenseFormat::kF16 ? tensor::F16ToF32(bits) : tensor::Bf16ToF32(bits);
}

}  // namespace

void MatmulQuantized(const PackedWeights& weights, int64_t panel_begin, int64_t panel_end, const QuantizedRows& rows,
                     float* out, int64_t out_stride, bool accumulate, std::byte* /*scratch*/) {
  constexpr int64_t kRowsAtOnce = 64;  // so that a block is read once for many rows
  const PackedTraits traits = TraitsOf(weights.format);
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    for (int64_t first = 0; first < rows.rows; first += kRowsAtOnce) {
      const int64_t count = rows.rows - first < kRowsAtOnce ? rows.rows - first : kRowsAtOnce;
      float acc[kRowsAtOnce][kPanelRows] = {};
      for (int64_t index = 0; index < weights.k / kBlockK; ++index) {
        const PlainBlock block = ReadBlock(weights, panel, index);
        for (int64_t b = 0; b < count; ++b) AddBlock(traits, block, rows, first + b, index, acc[b]);
      }
      for (int64_t b = 0; b < count; ++b) {
        for (int r = 0; r < kPanelRows && panel * kPanelRows + r < weights.n; ++r) {
          float& cell = out[(first + b) * out_stride + panel * kPanelRows + r];
          cell = accumulate ? cell + acc[b][r] : acc[b][r];
        }
      }
    }
  }
}

void MatmulDense(const DenseWeights& weights, int64_t panel_begin, int64_t panel_end, const float* x, int64_t x_stride,
                 int64_t rows, float* out, int64_t out_stride, bool accumulate) {
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    for (int64_t b = 0; b < rows; ++b) {
      for (int r = 0; r < kPanelRows && panel * kPanelRows + r < weights.n; ++r) {
        float& cell = out[b * out_stride + panel * kPanelRows + r];
        float total = accumulate ? cell : 0.0f;
        for (int64_t chunk = 0; chunk < weights.k; chunk += kDenseChunkK) {
          float acc = 0;
          for (int64_t k = chunk; k < weights.k && k < chunk + kDenseChunkK; ++k) {
            acc = std::fma(DenseAt(weights, panel, k, r), x[b * x_stride + k], acc);
          }
          total += acc;
        }
        cell = total;
      }
    }
  }
}

void InterleavePanel(const float* rows, int64_t row_stride, int64_t k, float* panel) {
  for (int64_t i = 0; i < k; ++i) {
    for (int r = 0; r < kPanelRows; ++r) panel[i * kPanelRows + r] = rows[r * row_stride + i];
  }
}

}  // namespace kvasir::kernels::ref
