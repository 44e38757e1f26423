// Stored weights back to float32: the meaning of every supported format, and the oracle of the fast kernels.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace kvasir::tensor {

/// Writes the `n` float32 values of a stored row (or of any run of whole blocks) to `dst`.
///
/// `src` holds ValidRowBytes(dtype, n) bytes at any alignment and must not overlap `dst`. `dtype` must be dequantisable
/// (see Traits) and `n` a multiple of its block; the process stops otherwise, so check a file's types before. The bit
/// patterns equal those of the `gguf` Python package, except which NaN comes out of arithmetic with two NaNs.
/// Scalar code, no allocation, safe from any thread.
void DequantizeRow(DType dtype, const void* src, float* dst, int64_t n);

}  // namespace kvasir::tensor
