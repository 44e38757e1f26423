// The bytes of every quantised block as GGUF files hold them: little-endian, no padding.
//
// A row is a run of blocks. A block holds 32 or 256 elements as small integer codes with a scale, and a minimum where
// the codes are unsigned. K-quants (256 elements) split the block into sub-blocks whose scales are themselves
// quantised. Below, `e` is an element's index in its block, and f16 fields are bit patterns for F16ToF32. The structs
// are packed, so a block may start at any byte. Source: the GGUF type definitions of the ggml project (facts only).
#pragma once

#include <array>
#include <cstdint>

namespace kvasir::tensor {

/// Elements of a 32-element block and of a K-quant (super-)block.
inline constexpr int kSmallBlock = 32;
inline constexpr int kSuperBlock = 256;

/// value = (q - 8) * d. Element e < 16 is the low nibble of codes[e], e >= 16 the high nibble of codes[e - 16].
struct [[gnu::packed]] BlockQ4_0 {
  uint16_t d;
  uint8_t codes[16];
};

/// value = q * d + m, nibbles as in Q4_0.
struct [[gnu::packed]] BlockQ4_1 {
  uint16_t d;
  uint16_t m;
  uint8_t codes[16];
};

/// value = (q - 16) * d; the four low bits as in Q4_0, the fifth bit of element e is bit e of `high`.
struct [[gnu::packed]] BlockQ5_0 {
  uint16_t d;
  uint32_t high;
  uint8_t codes[16];
};

/// value = q * d + m, codes as in Q5_0.
struct [[gnu::packed]] BlockQ5_1 {
  uint16_t d;
  uint16_t m;
  uint32_t high;
  uint8_t codes[16];
};

/// value = codes[e] * d.
struct [[gnu::packed]] BlockQ8_0 {
  uint16_t d;
  int8_t codes[32];
};

/// 16 sub-blocks of 16. value = d * (scales[s] & 15) * q - d_min * (scales[s] >> 4), s = e / 16. In each half of 128
/// elements, plane k of four holds elements 32k..32k+31 in bits 2k and 2k+1 of the half's 32 code bytes.
struct [[gnu::packed]] BlockQ2_K {
  uint8_t scales[16];
  uint8_t codes[64];
  uint16_t d;
  uint16_t d_min;
};

/// 16 sub-blocks of 16. value = d * (S[s] - 32) * (q - (high bit ? 0 : 4)); two low bits as in Q2_K, the high bit of
/// element e is bit e / 32 of high[e % 32]. The 6-bit S[s] is packed as UnpackQ3KScales() reads it.
struct [[gnu::packed]] BlockQ3_K {
  uint8_t high[32];
  uint8_t codes[64];
  uint8_t scales[12];
  uint16_t d;
};

/// 8 sub-blocks of 32. value = d * sc[s] * q - d_min * m[s], s = e / 32; 6-bit sc and m as UnpackKScales() reads them.
/// Each run of 64 elements takes 32 code bytes: the low nibbles are its first 32 elements, the high nibbles the others.
struct [[gnu::packed]] BlockQ4_K {
  uint16_t d;
  uint16_t d_min;
  uint8_t scales[12];
  uint8_t codes[128];
};

/// Q4_K with a fifth bit: of element e it is bit e / 32 of high[e % 32].
struct [[gnu::packed]] BlockQ5_K {
  uint16_t d;
  uint16_t d_min;
  uint8_t scales[12];
  uint8_t high[32];
  uint8_t codes[128];
};

/// 16 sub-blocks of 16. value = d * scales[s] * (q - 32), s = e / 16. In each half of 128 elements (64 low bytes, 32
/// high bytes, l < 32), quarter k holds elements 32k + l: four low bits in low[l + 32 * (k & 1)], the low nibble for k
/// < 2 and the high nibble otherwise; two high bits in bits 2k and 2k+1 of high[l].
struct [[gnu::packed]] BlockQ6_K {
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  uint16_t d;
};

/// value = d * kIQ4Values[q], nibbles as in Q4_0.
struct [[gnu::packed]] BlockIQ4_NL {
  uint16_t d;
  uint8_t codes[16];
};

/// 8 sub-blocks of 32, each 16 code bytes as in IQ4_NL. value = d * (S[s] - 32) * kIQ4Values[q]; the low four bits of
/// S[s] are nibble s of `scales_low`, the high two are bits 2s and 2s+1 of `scales_high`.
struct [[gnu::packed]] BlockIQ4_XS {
  uint16_t d;
  uint16_t scales_high;
  uint8_t scales_low[4];
  uint8_t codes[128];
};

/// value = kMXFP4Values[q] * 2^(exponent - 128), nibbles as in Q4_0. The table holds doubled e2m1 values, hence 128.
struct [[gnu::packed]] BlockMXFP4 {
  uint8_t exponent;
  uint8_t codes[16];
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockQ2_K) == 84);
static_assert(sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144 && sizeof(BlockQ5_K) == 176);
static_assert(sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_NL) == 18 && sizeof(BlockIQ4_XS) == 136);
static_assert(sizeof(BlockMXFP4) == 17);

/// The 16 levels of IQ4_NL and IQ4_XS: not evenly spaced, denser around zero, where weights are.
inline constexpr std::array<int8_t, 16> kIQ4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                      1,    13,   25,  38,  53,  69,  89,  113};

/// Twice the value of each e2m1 code (1 sign, 2 exponent, 1 mantissa bit).
inline constexpr std::array<int8_t, 16> kMXFP4Values = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// The eight 6-bit scales and minima of a Q4_K or Q5_K block.
struct KScales {
  uint8_t scale[8];
  uint8_t min[8];
};

/// Unpacks the 12 bytes: the first four scales and minima are the low six bits of bytes 0..3 and 4..7; the others have
/// their low nibbles in bytes 8..11 (scale low, minimum high) and their top two bits in the top bits of bytes 0..7.
[[nodiscard]] inline KScales UnpackKScales(const uint8_t (&packed)[12]) {
  KScales result;
  for (int j = 0; j < 4; ++j) {
    result.scale[j] = packed[j] & 63;
    result.min[j] = packed[j + 4] & 63;
    result.scale[j + 4] = static_cast<uint8_t>((packed[j + 8] & 15) | ((packed[j] >> 6) << 4));
    result.min[j + 4] = static_cast<uint8_t>((packed[j + 8] >> 4) | ((packed[j + 4] >> 6) << 4));
  }
  return result;
}

/// The sixteen 6-bit scales of a Q3_K block, still with their offset of 32: low nibbles in bytes 0..7 (scale s in the
/// low nibble of byte s, or for s >= 8 the high nibble of byte s - 8), top two bits in bits 2(s/4) and up of byte 8 + s
/// % 4.
[[nodiscard]] inline std::array<uint8_t, 16> UnpackQ3KScales(const uint8_t (&packed)[12]) {
  std::array<uint8_t, 16> result;
  for (int s = 0; s < 16; ++s) {
    const int low = s < 8 ? packed[s] & 15 : packed[s - 8] >> 4;
    const int high = (packed[8 + s % 4] >> (2 * (s / 4))) & 3;
    result[s] = static_cast<uint8_t>(low | (high << 4));
  }
  return result;
}

/// 2^(exponent - 128) of an MXFP4 block as float32; exponents 0 and 1 give the subnormals 2^-128 and 2^-127.
[[nodiscard]] inline uint32_t MXFP4ScaleBits(uint8_t exponent) {
  return exponent < 2 ? 0x00200000u << exponent : static_cast<uint32_t>(exponent - 1) << 23;
}

}  // namespace kvasir::tensor
