// Dense panels: 16 rows interleaved element by element.
//
// Rows are read in quads, 16 bytes of each at a time, and transposed as words of 32 bits; a word of two 16-bit elements
// is then taken apart into the two columns it belongs to. What k leaves over is moved element by element.
#include <algorithm>

#include "kernels/pack_rows.h"
#include "tensor/blocks.h"
#include "tensor/dequantize.h"
#include "tensor/half.h"

namespace kvasir::kernels {
namespace {

constexpr int64_t kStepBytes = 16;  // of a row, read at once

/// Interleaves 16 bytes of four rows into `out`, where column 0 of the quad's first row belongs.
template <int kElement>
void InterleaveStep(const FourRows& rows, std::byte* out) {
  constexpr int64_t kColumn = kPanelRows * kElement;  // bytes of one column of a panel
  Word4 words[4];
  rows.Words(0, words);
  for (int j = 0; j < 4; ++j) {
    if constexpr (kElement == 4) {
      StoreWords(out + j * kColumn, words[j]);
    } else {
      StoreHalves(out + 2 * j * kColumn, words[j] & 0xffffu);
      StoreHalves(out + (2 * j + 1) * kColumn, words[j] >> 16);
    }
  }
}

template <int kElement>
void InterleaveAs(const PackRange& range) {
  static constexpr std::byte kPadding[kStepBytes] = {};
  const int64_t row_bytes = range.k * kElement;
  for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
    const int rows = range.RowsOf(panel);
    const std::byte* source = range.source + panel * kPanelRows * row_bytes;
    std::byte* out = range.panels + panel * kPanelRows * row_bytes;
    int64_t at = 0;
    for (; at + kStepBytes <= row_bytes; at += kStepBytes) {
      for (int quad = 0; quad < kPanelRows / kQuad; ++quad) {
        FourRows four;
        for (int i = 0; i < kQuad; ++i) {
          const int row = kQuad * quad + i;
          four.at[i] = row < rows ? source + row * row_bytes + at : kPadding;
        }
        InterleaveStep<kElement>(four, out + at * kPanelRows + quad * kQuad * kElement);
      }
    }
    for (; at < row_bytes; at += kElement) {
      for (int row = 0; row < kPanelRows; ++row) {
        const std::byte* element = row < rows ? source + row * row_bytes + at : kPadding;
        std::memcpy(out + at * kPanelRows + row * kElement, element, kElement);
      }
    }
  }
}

void Store(DenseFormat format, std::byte* panels, int64_t index, float value) {
  if (format == DenseFormat::kF32) {
    std::memcpy(panels + 4 * index, &value, sizeof value);
    return;
  }
  const uint16_t bits = format == DenseFormat::kF16 ? tensor::F32ToF16(value) : tensor::F32ToBf16(value);
  std::memcpy(panels + 2 * index, &bits, sizeof bits);
}

}  // namespace

void Interleave(const PackRange& range, int element_bytes) {
  element_bytes == 4 ? InterleaveAs<4>(range) : InterleaveAs<2>(range);
}

void ConvertDense(tensor::DType dtype, const PackRange& range, DenseFormat format) {
  constexpr int64_t kChunk = tensor::kSuperBlock;  // whole blocks of every format
  const size_t row_bytes = tensor::ValidRowBytes(dtype, range.k);
  float values[kChunk];
  for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
    for (int r = 0; r < kPanelRows; ++r) {
      const int64_t row = panel * kPanelRows + r;
      for (int64_t k = 0; k < range.k; k += kChunk) {
        const int64_t count = std::min(kChunk, range.k - k);
        if (row < range.n) {
          const std::byte* in = range.source + static_cast<size_t>(row) * row_bytes + tensor::ValidRowBytes(dtype, k);
          tensor::DequantizeRow(dtype, in, values, count);
        } else {
          std::fill(values, values + count, 0.0f);
        }
        const int64_t base = (panel * range.k + k) * kPanelRows + r;
        for (int64_t i = 0; i < count; ++i) Store(format, range.panels, base + i * kPanelRows, values[i]);
      }
    }
  }
}

}  // namespace kvasir::kernels
