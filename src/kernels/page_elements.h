// Elements of a page in plain C++: what the reference kernels and the packing of compact pages share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/half.h"

namespace kvasir::kernels {

inline constexpr float kLargestF16 = 65504.0F;

/// Element `index` of an array of T that begins at any address.
template <typename T>
[[nodiscard]] T ReadElement(const std::byte* array, size_t index) {
  T element;
  std::memcpy(&element, array + index * sizeof(T), sizeof(T));
  return element;
}
template <typename T>
void WriteElement(std::byte* array, size_t index, T element) {
  std::memcpy(array + index * sizeof(T), &element, sizeof(T));
}

/// The f16 nearest to `value`. Saturates: one outlier beyond the range of f16 must not turn a whole row of attention
/// into infinities. A NaN stays one.
[[nodiscard]] inline uint16_t SaturatedF16(float value) {
  if (value > kLargestF16) value = kLargestF16;
  if (value < -kLargestF16) value = -kLargestF16;
  return tensor::F32ToF16(value);
}

}  // namespace kvasir::kernels
