// Scalar conversions between float32 and the two 16-bit floats, bit-exact on every machine.
//
// Integer code instead of _Float16 or F16C: the results must not depend on the compiler, the CPU or the rounding mode.
// Rounding is to nearest, ties to even; overflow gives infinity; subnormals are kept; a NaN stays a NaN with its sign
// and the upper bits of its payload (numpy's rule for F16, so that files compare bit for bit). All functions are
// branch-free on the way to float32, so a loop over a row vectorises.
#pragma once

#include <bit>
#include <cstdint>

namespace kvasir::tensor {

/// The value of an IEEE binary16 bit pattern. Exact.
[[nodiscard]] inline float F16ToF32(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  // Normal numbers: shift the fields up and move the exponent's bias from 15 to 127. Infinity and NaN need the bias
  // moved once more, which turns exponent 31 into 255.
  const uint32_t rebias = magnitude >= 0x7c00u ? 2u * (112u << 23) : 112u << 23;
  const uint32_t normal = (magnitude << 13) + rebias;
  // Subnormals are magnitude * 2^-24; both factors and the product are normal float32 numbers, so it is exact.
  const uint32_t subnormal = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  // A mask, not a branch: with a branch, compilers leave a loop over a row scalar.
  const uint32_t is_subnormal = magnitude < 0x0400u ? ~0u : 0u;
  return std::bit_cast<float>(sign | (normal ^ ((normal ^ subnormal) & is_subnormal)));
}

/// The binary16 bit pattern nearest to `value`, ties to even.
[[nodiscard]] inline uint16_t F32ToF16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {  // NaN; a payload that would vanish keeps one bit
    const uint32_t payload = (magnitude & 0x007fffffu) >> 13;
    return static_cast<uint16_t>(sign | 0x7c00u | (payload == 0 ? 1u : payload));
  }
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // >= 65520 rounds to infinity
  if (magnitude >= 0x38800000u) {  // normal in binary16: add half a unit less one, plus the last kept bit for ties
    const uint32_t rebased = magnitude - (112u << 23);
    return static_cast<uint16_t>(sign | ((rebased + 0x0fffu + ((rebased >> 13) & 1u)) >> 13));
  }
  if (magnitude <= 0x33000000u) return sign;  // <= 2^-25 rounds to zero (the tie goes to even)
  // Subnormal: the significand with its hidden bit, shifted until one unit is 2^-24, and rounded in the same way.
  const uint32_t shift = 126u - (magnitude >> 23);
  const uint32_t significand = (magnitude & 0x007fffffu) | 0x00800000u;
  const uint32_t half_unit = 1u << (shift - 1);
  const uint32_t kept = significand >> shift;
  const uint32_t rest = significand & ((1u << shift) - 1);
  const bool up = rest > half_unit || (rest == half_unit && (kept & 1u) != 0);
  return static_cast<uint16_t>(sign | (kept + (up ? 1u : 0u)));
}

/// The value of a bfloat16 bit pattern. Exact: bfloat16 is the upper half of float32.
[[nodiscard]] inline float Bf16ToF32(uint16_t bfloat) {
  return std::bit_cast<float>(static_cast<uint32_t>(bfloat) << 16);
}

/// The bfloat16 bit pattern nearest to `value`, ties to even. A NaN becomes quiet.
[[nodiscard]] inline uint16_t F32ToBf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x0040u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace kvasir::tensor
