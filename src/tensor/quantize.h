// float32 to the formats with a simple reference quantiser: what tools write and what tests compare with.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace kvasir::tensor {

/// Whether QuantizeRow can write `dtype`: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
[[nodiscard]] bool CanQuantize(DType dtype);

/// Stores the `n` values of `src` as `dtype` in `dst`, ValidRowBytes(dtype, n) bytes at any alignment.
///
/// CanQuantize(dtype) must hold and `n` be a multiple of the block; the process stops otherwise. Bytes equal those of
/// the `gguf` Python package for every block whose scale is a normal number; a block with NaN or infinity, or so small
/// that the inverse of its scale overflows, gives unspecified (but valid) codes. No allocation, safe from any thread.
void QuantizeRow(DType dtype, const float* src, void* dst, int64_t n);

}  // namespace kvasir::tensor
