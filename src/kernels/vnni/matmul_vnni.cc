// The matrix products compiled for vnni; see kernels_vnni.cc for what may stand in such a file.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/table.h"

namespace kvasir::kernels::vnni {
namespace {

#include "kernels/body/reduce.inc"
#include "kernels/body/simd_avx512.inc"
// Each needs the ones above it.
// clang-format off
#include "kernels/body/dot_vnni.inc"
#include "kernels/body/codes.inc"
#include "kernels/body/matmul_quantized.inc"
#include "kernels/body/matmul_dense.inc"
// clang-format on

}  // namespace

void MatmulQuantized(const PackedWeights& weights, int64_t panel_begin, int64_t panel_end, const QuantizedRows& rows,
                     float* out, int64_t out_stride, bool accumulate, std::byte* scratch) {
  quantized::Multiply(weights, panel_begin, panel_end, rows, out, out_stride, accumulate, scratch);
}

void MatmulDense(const DenseWeights& weights, int64_t panel_begin, int64_t panel_end, const float* x, int64_t x_stride,
                 int64_t rows, float* out, int64_t out_stride, bool accumulate) {
  dense::Multiply(weights, panel_begin, panel_end, x, x_stride, rows, out, out_stride, accumulate);
}

}  // namespace kvasir::kernels::vnni
