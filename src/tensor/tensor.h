// A tensor that lives in memory owned by someone else, as a model file maps it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tensor/dtype.h"

namespace kvasir::tensor {

/// The most dimensions a tensor can have.
inline constexpr int kMaxDims = 4;

/// Name, shape and bytes of a tensor. A plain value: it owns nothing and stays valid as long as its file or buffer.
/// `shape` is in GGUF's order: shape[0] is the contiguous dimension (in_features of a linear layer), shape[1] the
/// number of rows (out_features). Unused dimensions are 1.
struct TensorView {
  std::string_view name;
  DType dtype = DType::kF32;
  int dims = 1;  ///< How many dimensions the file gives, 1 to kMaxDims.
  std::array<int64_t, kMaxDims> shape = {0, 1, 1, 1};
  const std::byte* data = nullptr;  ///< Aligned to the file's alignment (at least 1), not to the element.
  size_t bytes = 0;                 ///< Exactly rows() * row_bytes().

  [[nodiscard]] int64_t row_elements() const { return shape[0]; }
  [[nodiscard]] int64_t rows() const { return shape[1] * shape[2] * shape[3]; }
  [[nodiscard]] int64_t elements() const { return row_elements() * rows(); }
  [[nodiscard]] size_t row_bytes() const { return ValidRowBytes(dtype, row_elements()); }
  [[nodiscard]] std::span<const std::byte> span() const { return {data, bytes}; }
  [[nodiscard]] const std::byte* row(int64_t index) const { return data + static_cast<size_t>(index) * row_bytes(); }
};

}  // namespace kvasir::tensor
