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

/// The plan for a matrix [n, k] of `dtype`; nullopt where the dtype cannot be a weight. A quantised dtype whose rows
/// are not a multiple of 32 cannot occur (its block size forbids it). Dense: F32, F16, BF16.
std::optional<PackPlan> PlanPack(tensor::DType dtype, int64_t n, int64_t k);

/// Packs rows of `source` (GGUF layout, row-major blocks) into the panels [panel_begin, panel_end) of `panels`.
/// Thread-safe for disjoint ranges. Returns false where a scale does not fit f16 (the caller then packs `dense` f32
/// with PackDense), which happens only for extreme MXFP4 exponents.
[[nodiscard]] bool PackPanels(tensor::DType dtype, const std::byte* source, int64_t n, int64_t k, int64_t panel_begin,
                              int64_t panel_end, std::byte* panels);

/// Packs any dtype as dense panels of `format`, dequantising where needed.
void PackDense(tensor::DType dtype, const std::byte* source, int64_t n, int64_t k, int64_t panel_begin,
               int64_t panel_end, DenseFormat format, std::byte* panels);

/// The table of a table format (16 entries, value + 128); nullptr for others.
const uint8_t* PackTable(tensor::DType dtype);

}  // namespace kvasir::kernels
