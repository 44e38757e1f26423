// Repacking of GGUF blocks into panels of 16 interleaved rows.
//
// The problem: every quantised format keeps its codes in another order, and a model's load must not wait for the
// repacking of gigabytes. The idea: a block of 32 codes passes through one middle form, eight words of four codes each
// (word j = codes of k = 4j..4j+3, one per byte), and each word is held for four rows at once, as a vector whose lanes
// are rows. A packed panel is made of just such vectors, so reading transposes 4 x 4 words, shifts and masks move 16
// codes at a time, and writing is plain stores: no byte is handled alone. One decoder per source format and one writer
// per packed width suffice for all pairs.
#include <array>
#include <bit>

#include "base/check.h"
#include "kernels/pack_rows.h"
#include "tensor/blocks.h"
#include "tensor/half.h"

namespace kvasir::kernels {
namespace {

using tensor::DType;

constexpr uint32_t kLowNibbles = 0x0f0f0f0f;
constexpr uint32_t kTwoBits = 0x03030303;
constexpr uint32_t kOneBit = 0x01010101;

/// 32 codes of four rows with their scales and mins (f16 bits), the middle form. Formats with one scale per 32 use
/// entry 0.
struct Codes32 {
  Word4 words[8];
  Word4 scale[2];
  Word4 min[2];
};

/// Lanes that a comparison made all ones.
using Lanes = Int4;

bool Any(Lanes lanes) {
  return (lanes[0] | lanes[1] | lanes[2] | lanes[3]) != 0;
}

/// The f16 bits nearest to `value`, ties to even: F32ToF16 for four finite values at once. Marks in `beyond` the lanes
/// whose value is too large; their bits mean nothing.
Word4 ToHalf(Float4 value, Lanes* beyond) {
  const auto bits = std::bit_cast<Word4>(value);
  const Word4 sign = (bits >> 16) & 0x8000u;
  const Word4 magnitude = bits & 0x7fffffffu;
  const auto compared = std::bit_cast<Int4>(magnitude);
  *beyond |= compared >= 0x477ff000;
  const Word4 rebased = magnitude - (112u << 23);
  const Word4 normal = (rebased + 0x0fffu + ((rebased >> 13) & 1u)) >> 13;
  // Below 2^-14, adding 0.5 rounds to multiples of 2^-24 and leaves their number in the low bits of the sum.
  const Word4 subnormal = std::bit_cast<Word4>(std::bit_cast<Float4>(magnitude) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  const auto is_subnormal = std::bit_cast<Word4>(compared < 0x38800000);
  return sign | (normal ^ ((normal ^ subnormal) & is_subnormal));
}

Float4 FromHalf(Word4 half) {
  Float4 value;
  for (int r = 0; r < kQuad; ++r) value[r] = tensor::F16ToF32(static_cast<uint16_t>(half[r]));
  return value;
}

/// Byte `index` of each word, as a float.
Float4 ByteAsFloat(Word4 words, int index) {
  return __builtin_convertvector(std::bit_cast<Int4>((words >> (8 * index)) & 255u), Float4);
}

/// Bits 0..3 of each word as four bytes of 0 or 1.
Word4 SpreadBits(Word4 bits) {
  bits &= 15u;
  bits = (bits | bits << 14) & 0x00030003u;
  return (bits | bits << 7) & kOneBit;
}

/// The order of all 32-element formats: low nibbles are elements 0..15, high nibbles 16..31.
void SplitNibbles(const FourRows& rows, size_t offset, Word4* words) {
  Word4 codes[4];
  rows.Words(offset, codes);
  for (int j = 0; j < 4; ++j) {
    words[j] = codes[j] & kLowNibbles;
    words[4 + j] = (codes[j] >> 4) & kLowNibbles;
  }
}

void AddFifthBits(Word4 high, Word4* words) {
  for (int j = 0; j < 8; ++j) words[j] |= SpreadBits(high >> (4 * j)) << 4;
}

/// Eight words, those of 32 bytes.
void Words8(const FourRows& rows, size_t offset, Word4* words) {
  rows.Words(offset, words);
  rows.Words(offset + 16, words + 4);
}

// Decode<Block> fills the middle form of a whole block, one or eight of them, and says whether the scales fit. The
// fields' offsets are those of tensor/blocks.h.
template <typename Block>
bool Decode(const FourRows& rows, Codes32* out) = delete;

template <>
bool Decode<tensor::BlockQ4_0>(const FourRows& rows, Codes32* out) {
  out->scale[0] = rows.Field<uint16_t>(offsetof(tensor::BlockQ4_0, d));
  SplitNibbles(rows, offsetof(tensor::BlockQ4_0, codes), out->words);
  return true;
}

template <>
bool Decode<tensor::BlockIQ4_NL>(const FourRows& rows, Codes32* out) {
  static_assert(offsetof(tensor::BlockIQ4_NL, codes) == offsetof(tensor::BlockQ4_0, codes));
  return Decode<tensor::BlockQ4_0>(rows, out);
}

template <>
bool Decode<tensor::BlockQ4_1>(const FourRows& rows, Codes32* out) {
  out->scale[0] = rows.Field<uint16_t>(offsetof(tensor::BlockQ4_1, d));
  out->min[0] = rows.Field<uint16_t>(offsetof(tensor::BlockQ4_1, m));
  SplitNibbles(rows, offsetof(tensor::BlockQ4_1, codes), out->words);
  return true;
}

template <>
bool Decode<tensor::BlockQ5_0>(const FourRows& rows, Codes32* out) {
  out->scale[0] = rows.Field<uint16_t>(offsetof(tensor::BlockQ5_0, d));
  SplitNibbles(rows, offsetof(tensor::BlockQ5_0, codes), out->words);
  AddFifthBits(rows.Field<uint32_t>(offsetof(tensor::BlockQ5_0, high)), out->words);
  return true;
}

template <>
bool Decode<tensor::BlockQ5_1>(const FourRows& rows, Codes32* out) {
  out->scale[0] = rows.Field<uint16_t>(offsetof(tensor::BlockQ5_1, d));
  out->min[0] = rows.Field<uint16_t>(offsetof(tensor::BlockQ5_1, m));
  SplitNibbles(rows, offsetof(tensor::BlockQ5_1, codes), out->words);
  AddFifthBits(rows.Field<uint32_t>(offsetof(tensor::BlockQ5_1, high)), out->words);
  return true;
}

template <>
bool Decode<tensor::BlockQ8_0>(const FourRows& rows, Codes32* out) {
  out->scale[0] = rows.Field<uint16_t>(offsetof(tensor::BlockQ8_0, d));
  Words8(rows, offsetof(tensor::BlockQ8_0, codes), out->words);
  for (Word4& word : out->words) word ^= 0x80808080u;
  return true;
}

template <>
bool Decode<tensor::BlockMXFP4>(const FourRows& rows, Codes32* out) {
  SplitNibbles(rows, offsetof(tensor::BlockMXFP4, codes), out->words);
  Word4 any = {};
  for (const Word4 word : out->words) any |= word & 0x07070707u;  // bit 3 is the sign
  bool fits = true;
  for (int r = 0; r < kQuad; ++r) {
    const auto exponent = static_cast<uint8_t>(rows.at[r][offsetof(tensor::BlockMXFP4, exponent)]);
    const auto scale = std::bit_cast<float>(tensor::MXFP4ScaleBits(exponent));
    const uint16_t half = tensor::F32ToF16(scale);
    fits &= any[r] == 0 || tensor::F16ToF32(half) == scale;  // a block of zeros may have any exponent
    out->scale[0][r] = any[r] == 0 ? 0 : half;
  }
  return fits;
}

template <>
bool Decode<tensor::BlockQ2_K>(const FourRows& rows, Codes32* out) {
  const Float4 d = FromHalf(rows.Field<uint16_t>(offsetof(tensor::BlockQ2_K, d)));
  const Float4 d_min = FromHalf(rows.Field<uint16_t>(offsetof(tensor::BlockQ2_K, d_min)));
  Word4 scales[4];
  rows.Words(offsetof(tensor::BlockQ2_K, scales), scales);
  Lanes beyond = {};
  for (int s = 0; s < 16; ++s) {
    out[s / 2].scale[s % 2] = ToHalf(d * ByteAsFloat(scales[s / 4] & kLowNibbles, s % 4), &beyond);
    out[s / 2].min[s % 2] = ToHalf(-d_min * ByteAsFloat((scales[s / 4] >> 4) & kLowNibbles, s % 4), &beyond);
  }
  for (int half = 0; half < 2; ++half) {
    Word4 codes[8];
    Words8(rows, offsetof(tensor::BlockQ2_K, codes) + 32 * half, codes);
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 8; ++j) out[4 * half + i].words[j] = (codes[j] >> (2 * i)) & kTwoBits;
    }
  }
  return !Any(beyond);
}

template <>
bool Decode<tensor::BlockQ3_K>(const FourRows& rows, Codes32* out) {
  using Block = tensor::BlockQ3_K;
  const Float4 d = FromHalf(rows.Field<uint16_t>(offsetof(Block, d)));
  Lanes beyond = {};
  Float4 scales[16];
  for (int r = 0; r < kQuad; ++r) {
    uint8_t packed[sizeof(Block::scales)];
    std::memcpy(packed, rows.at[r] + offsetof(Block, scales), sizeof packed);
    const std::array<uint8_t, 16> row = tensor::UnpackQ3KScales(packed);
    for (int s = 0; s < 16; ++s) scales[s][r] = static_cast<float>(row[s] - 32);
  }
  for (int s = 0; s < 16; ++s) out[s / 2].scale[s % 2] = ToHalf(d * scales[s], &beyond);
  Word4 high[8];
  Words8(rows, offsetof(Block, high), high);
  for (int half = 0; half < 2; ++half) {
    Word4 low[8];
    Words8(rows, offsetof(Block, codes) + 32 * half, low);
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 8; ++j) {
        const Word4 third = ((high[j] >> (4 * half + i)) & kOneBit) << 2;
        out[4 * half + i].words[j] = ((low[j] >> (2 * i)) & kTwoBits) | third;
      }
    }
  }
  return !Any(beyond);
}

/// The scales and mins of Q4_K and Q5_K: UnpackKScales on words of four, then the products with d and d_min.
template <typename Block>
bool DecodeKScales(const FourRows& rows, Codes32* out) {
  const Float4 d = FromHalf(rows.Field<uint16_t>(offsetof(Block, d)));
  const Float4 d_min = FromHalf(rows.Field<uint16_t>(offsetof(Block, d_min)));
  Word4 packed[3];
  for (int j = 0; j < 3; ++j) packed[j] = rows.Field<uint32_t>(offsetof(Block, scales) + 4 * j);
  constexpr uint32_t kSixBits = 0x3f3f3f3f;
  constexpr uint32_t kTopTwo = 0x30303030;
  const Word4 scales[2] = {packed[0] & kSixBits, (packed[2] & kLowNibbles) | ((packed[0] >> 2) & kTopTwo)};
  const Word4 mins[2] = {packed[1] & kSixBits, ((packed[2] >> 4) & kLowNibbles) | ((packed[1] >> 2) & kTopTwo)};
  Lanes beyond = {};
  for (int i = 0; i < 8; ++i) {
    out[i].scale[0] = ToHalf(d * ByteAsFloat(scales[i / 4], i % 4), &beyond);
    out[i].min[0] = ToHalf(-d_min * ByteAsFloat(mins[i / 4], i % 4), &beyond);
  }
  return !Any(beyond);
}

template <>
bool Decode<tensor::BlockQ4_K>(const FourRows& rows, Codes32* out) {
  for (int pair = 0; pair < 4; ++pair) {
    Word4 codes[8];
    Words8(rows, offsetof(tensor::BlockQ4_K, codes) + 32 * pair, codes);
    for (int j = 0; j < 8; ++j) {
      out[2 * pair].words[j] = codes[j] & kLowNibbles;
      out[2 * pair + 1].words[j] = (codes[j] >> 4) & kLowNibbles;
    }
  }
  return DecodeKScales<tensor::BlockQ4_K>(rows, out);
}

template <>
bool Decode<tensor::BlockQ5_K>(const FourRows& rows, Codes32* out) {
  Word4 high[8];
  Words8(rows, offsetof(tensor::BlockQ5_K, high), high);
  for (int pair = 0; pair < 4; ++pair) {
    Word4 codes[8];
    Words8(rows, offsetof(tensor::BlockQ5_K, codes) + 32 * pair, codes);
    for (int j = 0; j < 8; ++j) {
      const Word4 bits = high[j] >> (2 * pair);
      out[2 * pair].words[j] = (codes[j] & kLowNibbles) | (bits & kOneBit) << 4;
      out[2 * pair + 1].words[j] = ((codes[j] >> 4) & kLowNibbles) | ((bits >> 1) & kOneBit) << 4;
    }
  }
  return DecodeKScales<tensor::BlockQ5_K>(rows, out);
}

template <>
bool Decode<tensor::BlockQ6_K>(const FourRows& rows, Codes32* out) {
  using Block = tensor::BlockQ6_K;
  const Float4 d = FromHalf(rows.Field<uint16_t>(offsetof(Block, d)));
  Word4 scales[4];
  rows.Words(offsetof(Block, scales), scales);
  Lanes beyond = {};
  for (int s = 0; s < 16; ++s) {
    const auto at_top = std::bit_cast<Int4>(scales[s / 4] << (24 - 8 * (s % 4)));  // signed bytes
    out[s / 2].scale[s % 2] = ToHalf(d * __builtin_convertvector(at_top >> 24, Float4), &beyond);
  }
  for (int half = 0; half < 2; ++half) {
    Word4 low[16];
    Word4 high[8];
    Words8(rows, offsetof(Block, low) + 64 * half, low);
    Words8(rows, offsetof(Block, low) + 64 * half + 32, low + 8);
    Words8(rows, offsetof(Block, high) + 32 * half, high);
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (int j = 0; j < 8; ++j) {
        const Word4 nibbles = (low[8 * (quarter & 1) + j] >> (4 * (quarter / 2))) & kLowNibbles;
        out[4 * half + quarter].words[j] = nibbles | ((high[j] >> (2 * quarter)) & kTwoBits) << 4;
      }
    }
  }
  return !Any(beyond);
}

template <>
bool Decode<tensor::BlockIQ4_XS>(const FourRows& rows, Codes32* out) {
  using Block = tensor::BlockIQ4_XS;
  const Float4 d = FromHalf(rows.Field<uint16_t>(offsetof(Block, d)));
  const Word4 low = rows.Field<uint32_t>(offsetof(Block, scales_low));
  const Word4 high = rows.Field<uint16_t>(offsetof(Block, scales_high));
  Lanes beyond = {};
  for (int i = 0; i < 8; ++i) {
    const Word4 scale = ((low >> (4 * i)) & 15u) | ((high >> (2 * i)) & 3u) << 4;
    const Int4 centred = std::bit_cast<Int4>(scale) - 32;
    out[i].scale[0] = ToHalf(d * __builtin_convertvector(centred, Float4), &beyond);
    SplitNibbles(rows, offsetof(Block, codes) + 16 * i, out[i].words);
  }
  return !Any(beyond);
}

/// Writes the middle form as rows 4 * quad .. 4 * quad + 3 of a packed block.
template <PackedFormat kFormat>
void WriteRows(const Codes32& codes, int quad, std::byte* block) {
  constexpr PackedTraits kTraits = TraitsOf(kFormat);
  constexpr int kGroups = kBlockK / kTraits.group;
  for (int g = 0; g < kGroups; ++g) {
    StoreHalves(block + 2 * (g * kPanelRows + kQuad * quad), codes.scale[g]);
    if (kTraits.has_min) StoreHalves(block + 2 * ((kGroups + g) * kPanelRows + kQuad * quad), codes.min[g]);
  }
  std::byte* lines = block + 2 * kPanelRows * kGroups * (kTraits.has_min ? 2 : 1) + 16 * quad;
  const Word4* words = codes.words;
  if constexpr (kTraits.bits == 8) {
    for (int j = 0; j < 8; ++j) StoreWords(lines + 64 * j, words[j]);
    return;
  }
  for (int v = 0; v < 4; ++v) {
    StoreWords(lines + 64 * v, (words[2 * v] & kLowNibbles) | (words[2 * v + 1] & kLowNibbles) << 4);
  }
  if constexpr (kTraits.bits == 5) {
    Word4 high = {};
    for (int j = 0; j < 8; ++j) high |= ((words[j] >> 4) & kOneBit) << j;
    StoreWords(lines + 64 * 4, high);
  }
  if constexpr (kTraits.bits == 6) {
    for (int h = 0; h < 2; ++h) {
      Word4 high = {};
      for (int j = 0; j < 4; ++j) high |= ((words[4 * h + j] >> 4) & kTwoBits) << (2 * j);
      StoreWords(lines + 64 * (4 + h), high);
    }
  }
}

template <typename Block, PackedFormat kFormat>
bool PackAs(const PackRange& range, int block_elements) {
  static constexpr std::byte kPadding[sizeof(Block)] = {};  // the block of a row past the last
  const int groups = block_elements / kBlockK;              // packed blocks per source block
  const int64_t row_bytes = range.k / block_elements * static_cast<int64_t>(sizeof(Block));
  constexpr int64_t kPackedBytes = TraitsOf(kFormat).block_bytes;
  Codes32 codes[8] = {};
  bool fits = true;
  for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
    const int rows = range.RowsOf(panel);
    const std::byte* source = range.source + panel * kPanelRows * row_bytes;
    std::byte* out = range.panels + panel * (range.k / kBlockK) * kPackedBytes;
    for (int64_t at = 0; at < row_bytes; at += sizeof(Block), out += groups * kPackedBytes) {
      for (int quad = 0; quad < kPanelRows / kQuad; ++quad) {
        FourRows blocks;
        for (int i = 0; i < kQuad; ++i) {
          const int row = kQuad * quad + i;
          blocks.at[i] = row < rows ? source + row * row_bytes + at : kPadding;
        }
        fits &= Decode<Block>(blocks, codes);
        for (int g = 0; g < groups; ++g) WriteRows<kFormat>(codes[g], quad, out + g * kPackedBytes);
      }
    }
  }
  return fits;
}

}  // namespace

bool PackQuantized(DType dtype, const PackRange& range) {
  switch (dtype) {
    case DType::kQ4_0: return PackAs<tensor::BlockQ4_0, PackedFormat::kW4>(range, 32);
    case DType::kQ4_1: return PackAs<tensor::BlockQ4_1, PackedFormat::kW4Min>(range, 32);
    case DType::kQ5_0: return PackAs<tensor::BlockQ5_0, PackedFormat::kW5>(range, 32);
    case DType::kQ5_1: return PackAs<tensor::BlockQ5_1, PackedFormat::kW5Min>(range, 32);
    case DType::kQ8_0: return PackAs<tensor::BlockQ8_0, PackedFormat::kW8>(range, 32);
    case DType::kIQ4_NL: return PackAs<tensor::BlockIQ4_NL, PackedFormat::kW4Table>(range, 32);
    case DType::kMXFP4: return PackAs<tensor::BlockMXFP4, PackedFormat::kW4Table>(range, 32);
    case DType::kQ2_K: return PackAs<tensor::BlockQ2_K, PackedFormat::kW4MinG16>(range, 256);
    case DType::kQ3_K: return PackAs<tensor::BlockQ3_K, PackedFormat::kW4G16>(range, 256);
    case DType::kQ4_K: return PackAs<tensor::BlockQ4_K, PackedFormat::kW4Min>(range, 256);
    case DType::kQ5_K: return PackAs<tensor::BlockQ5_K, PackedFormat::kW5Min>(range, 256);
    case DType::kQ6_K: return PackAs<tensor::BlockQ6_K, PackedFormat::kW6G16>(range, 256);
    case DType::kIQ4_XS: return PackAs<tensor::BlockIQ4_XS, PackedFormat::kW4Table>(range, 256);
    default: KV_CHECK(false);
  }
}

}  // namespace kvasir::kernels
