// Scalar conversions between float32 and the two 8-bit floats of OCP's specification (arXiv:2209.05433).
//
// E4M3 is the finite variant: no infinities, one NaN per sign, largest 448. E5M2 is the upper byte of a binary16,
// largest 57344. Rounding is to nearest, ties to even; what is too large saturates, infinities included; a NaN stays
// one.
#pragma once

#include <bit>
#include <cstdint>

#include "tensor/half.h"

namespace kvasir::kernels::ref {

/// A format by its number of mantissa bits, its exponent bias and the code of its largest number.
struct Fp8Traits {
  int mantissa;
  int bias;
  float largest;
};
inline constexpr Fp8Traits kE4M3 = {3, 7, 448.0F};
inline constexpr Fp8Traits kE5M2 = {2, 15, 57344.0F};

inline uint8_t ToFp8(const Fp8Traits& traits, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint8_t>(bits >> 24 & 0x80U);
  uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return sign | 0x7fU;
  const auto largest = std::bit_cast<uint32_t>(traits.largest);
  if (magnitude > largest) magnitude = largest;
  const int shift = 23 - traits.mantissa;
  if (magnitude >= static_cast<uint32_t>(128 - traits.bias) << 23) {  // normal: half a unit less one, and the last bit
    const uint32_t rounded = magnitude + (1U << (shift - 1)) - 1 + (magnitude >> shift & 1U);
    return static_cast<uint8_t>(sign |
                                ((rounded >> shift) - (static_cast<uint32_t>(127 - traits.bias) << traits.mantissa)));
  }
  // Subnormal: beside a number whose last bit is one step of these, addition rounds to steps.
  const float steps = std::bit_cast<float>(static_cast<uint32_t>(128 - traits.bias - traits.mantissa + 23) << 23);
  const float sum = std::bit_cast<float>(magnitude) + steps;
  return static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(sum) - std::bit_cast<uint32_t>(steps)));
}
inline uint8_t F32ToE4M3(float value) {
  return ToFp8(kE4M3, value);
}
inline uint8_t F32ToE5M2(float value) {
  return ToFp8(kE5M2, value);
}

inline float E5M2ToF32(uint8_t code) {
  return tensor::F16ToF32(static_cast<uint16_t>(code << 8));
}
/// Exponent and mantissa stand in a binary16 as they do here, but for the bias.
inline float E4M3ToF32(uint8_t code) {
  const auto half = static_cast<uint16_t>((code & 0x80) << 8 | (code & 0x7f) << 7);
  return (code & 0x7f) == 0x7f ? tensor::F16ToF32(half | 0x7fff) : 256 * tensor::F16ToF32(half);
}

}  // namespace kvasir::kernels::ref
