// Repacking of GGUF block formats into the layouts of kernels.h, done once at load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/kernels.h"
#include "tensor/dtype.h"

namespace kvasir::kernels {

/// How a tensor of `dtype` is held for the kernels.
struct PackPlan {
  bool dense = false;  // else quantised
  PackedFormat packed = PackedFormat::kW8;
  DenseFormat dense_format = DenseFormat::kF32;
  size_t bytes = 0;  // of all panels
};

/// The plan for a matrix [n, k] of `dtype`; nullopt where the dtype cannot be a weight
/// and where it is quantised and k > kMaxK. A quantised dtype whose rows
/// are not a multiple of 32 cannot occur (its block size forbids it). Dense: F32, F16, BF16.
[[nodiscard]] std::optional<PackPlan> PlanPack(tensor::DType dtype, int64_t n, int64_t k);

/// Bytes of a matrix [n, k] in dense panels of `format`.
[[nodiscard]] size_t DenseBytes(DenseFormat format, int64_t n, int64_t k);

/// Packs rows of `source` (GGUF layout, row-major blocks) into the panels [panel_begin, panel_end) of `panels`, which
/// points to panel 0. Thread-safe for disjoint ranges.
///
/// Exact for Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL and MXFP4: the packed values are those of DequantizeRow. K-quants and
/// IQ4_XS store scales that are products (d * sc); here the product is rounded to f16, relative error at most 2^-11
/// (absolute 2^-25 below 2^-14), and so is the min. In steps of a code that is at most 1/64 for 6-bit and 1/128 for
/// 4-bit codes plus the min's 2^-11, where the quantisation itself is off by up to 1/2.
///
/// Returns false where a scale does not fit f16: too large, or an MXFP4 exponent below -24. The caller then packs f32
/// with PackDense.
[[nodiscard]] bool PackPanels(tensor::DType dtype, const std::byte* source, int64_t n, int64_t k, int64_t panel_begin,
                              int64_t panel_end, std::byte* panels);

/// Packs any dequantisable dtype as dense panels of `format`, converting where it must. Thread-safe as PackPanels.
void PackDense(tensor::DType dtype, const std::byte* source, int64_t n, int64_t k, int64_t panel_begin,
               int64_t panel_end, DenseFormat format, std::byte* panels);

/// The table of a table format (16 entries, value + 128); nullptr for others.
[[nodiscard]] const uint8_t* PackTable(tensor::DType dtype);

/// Reads row `row` of packed weights back as k floats. Slow: for tests and inspection.
void UnpackRow(const PackedWeights& weights, int64_t row, float* out);
void UnpackDenseRow(const DenseWeights& weights, int64_t row, float* out);

}  // namespace kvasir::kernels
