// Repacking of GGUF blocks into panels of 16 interleaved rows.
//
// The problem: every quantised format keeps its codes in another order, and a model's load must not wait for the
// repacking of gigabytes. The idea: a block of 32 codes passes through one middle form, eight words of four codes each
// (word j = codes of k = 4j..4j+3, one per byte). Nibbles and upper bits are then moved four at a time by plain 32-bit
// operations, and a packed panel is made of just such words, so no byte is handled alone. One decoder per source format
// and one writer per packed width suffice for all pairs.
#include "kernels/pack.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "kernels/packed_block.h"
#include "tensor/blocks.h"
#include "tensor/dequantize.h"
#include "tensor/half.h"

namespace kvasir::kernels {
namespace {

using tensor::DType;

constexpr uint32_t kLowNibbles = 0x0f0f0f0f;

/// 32 codes with their scales and mins (f16), the middle form. Formats with one scale per 32 use entry 0.
struct Codes32 {
  uint32_t words[8];
  uint16_t scale[2];
  uint16_t min[2];
};

uint32_t Word(const void* bytes, int index) {
  uint32_t word;
  std::memcpy(&word, static_cast<const char*>(bytes) + 4 * index, sizeof word);
  return word;
}

/// Bits 0..3 of `bits` as four bytes of 0 or 1. The product puts bit i at bit 8i, among others that the mask drops.
uint32_t SpreadBits(uint32_t bits) {
  return ((bits & 15) * 0x00204081u) & 0x01010101u;
}

/// The order of all 32-element formats: low nibbles are elements 0..15, high nibbles 16..31.
void SplitNibbles(const void* codes, uint32_t* words) {
  for (int j = 0; j < 4; ++j) {
    const uint32_t word = Word(codes, j);
    words[j] = word & kLowNibbles;
    words[4 + j] = (word >> 4) & kLowNibbles;
  }
}

void AddFifthBits(uint32_t high, uint32_t* words) {
  for (int j = 0; j < 8; ++j) words[j] |= SpreadBits(high >> (4 * j)) << 4;
}

bool ToHalf(float value, uint16_t* half) {
  *half = tensor::F32ToF16(value);
  return (*half & 0x7c00u) != 0x7c00u;
}

// Each Decode fills the middle form of a whole block, one or eight of them, and says whether the scales fit.

bool Decode(const tensor::BlockQ4_0& block, Codes32* out) {
  out->scale[0] = block.d;
  SplitNibbles(block.codes, out->words);
  return true;
}

bool Decode(const tensor::BlockQ4_1& block, Codes32* out) {
  out->scale[0] = block.d;
  out->min[0] = block.m;
  SplitNibbles(block.codes, out->words);
  return true;
}

bool Decode(const tensor::BlockQ5_0& block, Codes32* out) {
  out->scale[0] = block.d;
  SplitNibbles(block.codes, out->words);
  AddFifthBits(block.high, out->words);
  return true;
}

bool Decode(const tensor::BlockQ5_1& block, Codes32* out) {
  out->scale[0] = block.d;
  out->min[0] = block.m;
  SplitNibbles(block.codes, out->words);
  AddFifthBits(block.high, out->words);
  return true;
}

bool Decode(const tensor::BlockQ8_0& block, Codes32* out) {
  out->scale[0] = block.d;
  for (int j = 0; j < 8; ++j) out->words[j] = Word(block.codes, j) ^ 0x80808080u;
  return true;
}

bool Decode(const tensor::BlockIQ4_NL& block, Codes32* out) {
  out->scale[0] = block.d;
  SplitNibbles(block.codes, out->words);
  return true;
}

bool Decode(const tensor::BlockMXFP4& block, Codes32* out) {
  SplitNibbles(block.codes, out->words);
  uint32_t any = 0;
  for (const uint32_t word : out->words) any |= word & 0x07070707u;  // bit 3 is the sign
  const auto scale = std::bit_cast<float>(tensor::MXFP4ScaleBits(block.exponent));
  const bool fits = ToHalf(scale, &out->scale[0]) && tensor::F16ToF32(out->scale[0]) == scale;
  if (any == 0) out->scale[0] = 0;  // a block of zeros may have any exponent
  return fits || any == 0;
}

bool Decode(const tensor::BlockQ2_K& block, Codes32* out) {
  const float d = tensor::F16ToF32(block.d);
  const float d_min = tensor::F16ToF32(block.d_min);
  bool fits = true;
  for (int s = 0; s < 16; ++s) {
    Codes32& codes = out[s / 2];
    fits &= ToHalf(d * static_cast<float>(block.scales[s] & 15), &codes.scale[s % 2]);
    fits &= ToHalf(-d_min * static_cast<float>(block.scales[s] >> 4), &codes.min[s % 2]);
  }
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) out[i].words[j] = (Word(block.codes + 32 * (i / 4), j) >> (2 * (i % 4))) & 0x03030303u;
  }
  return fits;
}

bool Decode(const tensor::BlockQ3_K& block, Codes32* out) {
  const float d = tensor::F16ToF32(block.d);
  const std::array<uint8_t, 16> scales = tensor::UnpackQ3KScales(block.scales);
  bool fits = true;
  for (int s = 0; s < 16; ++s) fits &= ToHalf(d * static_cast<float>(scales[s] - 32), &out[s / 2].scale[s % 2]);
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) {
      const uint32_t low = (Word(block.codes + 32 * (i / 4), j) >> (2 * (i % 4))) & 0x03030303u;
      out[i].words[j] = low | ((Word(block.high, j) >> i) & 0x01010101u) << 2;
    }
  }
  return fits;
}

bool DecodeKScales(uint16_t d_bits, uint16_t d_min_bits, const tensor::KScales& scales, Codes32* out) {
  const float d = tensor::F16ToF32(d_bits);
  const float d_min = tensor::F16ToF32(d_min_bits);
  bool fits = true;
  for (int i = 0; i < 8; ++i) {
    fits &= ToHalf(d * static_cast<float>(scales.scale[i]), &out[i].scale[0]);
    fits &= ToHalf(-d_min * static_cast<float>(scales.min[i]), &out[i].min[0]);
  }
  return fits;
}

bool Decode(const tensor::BlockQ4_K& block, Codes32* out) {
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) out[i].words[j] = (Word(block.codes + 32 * (i / 2), j) >> (4 * (i % 2))) & kLowNibbles;
  }
  return DecodeKScales(block.d, block.d_min, tensor::UnpackKScales(block.scales), out);
}

bool Decode(const tensor::BlockQ5_K& block, Codes32* out) {
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) {
      const uint32_t low = (Word(block.codes + 32 * (i / 2), j) >> (4 * (i % 2))) & kLowNibbles;
      out[i].words[j] = low | ((Word(block.high, j) >> i) & 0x01010101u) << 4;
    }
  }
  return DecodeKScales(block.d, block.d_min, tensor::UnpackKScales(block.scales), out);
}

bool Decode(const tensor::BlockQ6_K& block, Codes32* out) {
  const float d = tensor::F16ToF32(block.d);
  bool fits = true;
  for (int s = 0; s < 16; ++s) fits &= ToHalf(d * static_cast<float>(block.scales[s]), &out[s / 2].scale[s % 2]);
  for (int i = 0; i < 8; ++i) {
    const int half = i / 4;
    const int quarter = i % 4;
    for (int j = 0; j < 8; ++j) {
      const uint32_t low = (Word(block.low + 64 * half + 32 * (quarter & 1), j) >> (4 * (quarter / 2))) & kLowNibbles;
      out[i].words[j] = low | ((Word(block.high + 32 * half, j) >> (2 * quarter)) & 0x03030303u) << 4;
    }
  }
  return fits;
}

bool Decode(const tensor::BlockIQ4_XS& block, Codes32* out) {
  const float d = tensor::F16ToF32(block.d);
  bool fits = true;
  for (int i = 0; i < 8; ++i) {
    const int low = (block.scales_low[i / 2] >> (4 * (i % 2))) & 15;
    const int high = (block.scales_high >> (2 * i)) & 3;
    fits &= ToHalf(d * static_cast<float>((low | high << 4) - 32), &out[i].scale[0]);
    SplitNibbles(block.codes + 16 * i, out[i].words);
  }
  return fits;
}

void StoreWord(std::byte* codes, int line, int r, uint32_t word) {
  std::memcpy(codes + 64 * line + 4 * r, &word, sizeof word);
}

/// Writes the middle form as row r of a packed block.
template <PackedFormat kFormat>
void WriteRow(const Codes32& codes, int r, std::byte* block) {
  constexpr PackedTraits kTraits = TraitsOf(kFormat);
  constexpr int kGroups = kBlockK / kTraits.group;
  for (int g = 0; g < kGroups; ++g) {
    std::memcpy(block + 2 * (g * kPanelRows + r), &codes.scale[g], 2);
    if (kTraits.has_min) std::memcpy(block + 2 * ((kGroups + g) * kPanelRows + r), &codes.min[g], 2);
  }
  std::byte* lines = block + 2 * kPanelRows * kGroups * (kTraits.has_min ? 2 : 1);
  const uint32_t* words = codes.words;
  if (kTraits.bits == 8) {
    for (int j = 0; j < 8; ++j) StoreWord(lines, j, r, words[j]);
    return;
  }
  for (int v = 0; v < 4; ++v) {
    StoreWord(lines, v, r, (words[2 * v] & kLowNibbles) | (words[2 * v + 1] & kLowNibbles) << 4);
  }
  if (kTraits.bits == 5) {
    uint32_t high = 0;
    for (int j = 0; j < 8; ++j) high |= ((words[j] >> 4) & 0x01010101u) << j;
    StoreWord(lines, 4, r, high);
  }
  if (kTraits.bits == 6) {
    for (int h = 0; h < 2; ++h) {
      uint32_t high = 0;
      for (int j = 0; j < 4; ++j) high |= ((words[4 * h + j] >> 4) & 0x03030303u) << (2 * j);
      StoreWord(lines, 4 + h, r, high);
    }
  }
}

struct PackRange {
  const std::byte* source;
  int64_t n;
  int64_t k;
  int64_t panel_begin;
  int64_t panel_end;
  std::byte* panels;
};

template <typename Block, PackedFormat kFormat>
bool PackAs(const PackRange& range, int block_elements) {
  const int groups = block_elements / kBlockK;  // packed blocks per source block
  const int64_t blocks_per_row = range.k / block_elements;
  const int64_t panel_bytes = range.k / kBlockK * TraitsOf(kFormat).block_bytes;
  const auto* source = reinterpret_cast<const Block*>(range.source);
  Codes32 codes[8] = {};
  bool fits = true;
  for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
    const auto rows = static_cast<int>(std::min<int64_t>(kPanelRows, range.n - panel * kPanelRows));
    std::byte* out = range.panels + panel * panel_bytes;
    if (rows < kPanelRows) std::memset(out, 0, static_cast<size_t>(panel_bytes));
    for (int64_t b = 0; b < blocks_per_row; ++b) {
      for (int r = 0; r < rows; ++r) {
        fits &= Decode(source[(panel * kPanelRows + r) * blocks_per_row + b], codes);
        for (int g = 0; g < groups; ++g) {
          WriteRow<kFormat>(codes[g], r, out + (b * groups + g) * TraitsOf(kFormat).block_bytes);
        }
      }
    }
  }
  return fits;
}

// ---- dense

/// Panels of the source's own elements, moved as they are.
template <typename Element>
void InterleaveSame(const PackRange& range) {
  auto* panels = reinterpret_cast<Element*>(range.panels);
  for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
    Element* out = panels + panel * range.k * kPanelRows;
    for (int r = 0; r < kPanelRows; ++r) {
      const int64_t row = panel * kPanelRows + r;
      const std::byte* in = range.source + row * range.k * static_cast<int64_t>(sizeof(Element));
      for (int64_t i = 0; i < range.k; ++i) {
        Element element = 0;
        if (row < range.n) std::memcpy(&element, in + i * static_cast<int64_t>(sizeof(Element)), sizeof(Element));
        out[i * kPanelRows + r] = element;
      }
    }
  }
}

void StoreDense(DenseFormat format, std::byte* panels, int64_t index, float value) {
  if (format == DenseFormat::kF32) {
    std::memcpy(panels + 4 * index, &value, sizeof value);
    return;
  }
  const uint16_t bits = format == DenseFormat::kF16 ? tensor::F32ToF16(value) : tensor::F32ToBf16(value);
  std::memcpy(panels + 2 * index, &bits, sizeof bits);
}

void ConvertDense(DType dtype, const PackRange& range, DenseFormat format) {
  constexpr int64_t kChunk = tensor::kSuperBlock;  // whole blocks of every format
  const size_t row_bytes = tensor::ValidRowBytes(dtype, range.k);
  float values[kChunk];
  for (int64_t panel = range.panel_begin; panel < range.panel_end; ++panel) {
    for (int r = 0; r < kPanelRows; ++r) {
      const int64_t row = panel * kPanelRows + r;
      for (int64_t k = 0; k < range.k; k += kChunk) {
        const int64_t count = std::min(kChunk, range.k - k);
        if (row < range.n) {
          const std::byte* in = range.source + static_cast<size_t>(row) * row_bytes + tensor::ValidRowBytes(dtype, k);
          tensor::DequantizeRow(dtype, in, values, count);
        } else {
          std::fill(values, values + count, 0.0f);
        }
        const int64_t base = (panel * range.k + k) * kPanelRows + r;
        for (int64_t i = 0; i < count; ++i) StoreDense(format, range.panels, base + i * kPanelRows, values[i]);
      }
    }
  }
}

struct QuantizedPlan {
  DType dtype;
  PackedFormat format;
};
constexpr QuantizedPlan kPlans[] = {
    {DType::kQ4_0, PackedFormat::kW4},        {DType::kQ4_1, PackedFormat::kW4Min},
    {DType::kQ5_0, PackedFormat::kW5},        {DType::kQ5_1, PackedFormat::kW5Min},
    {DType::kQ8_0, PackedFormat::kW8},        {DType::kIQ4_NL, PackedFormat::kW4Table},
    {DType::kMXFP4, PackedFormat::kW4Table},  {DType::kQ2_K, PackedFormat::kW4MinG16},
    {DType::kQ3_K, PackedFormat::kW4G16},     {DType::kQ4_K, PackedFormat::kW4Min},
    {DType::kQ5_K, PackedFormat::kW5Min},     {DType::kQ6_K, PackedFormat::kW6G16},
    {DType::kIQ4_XS, PackedFormat::kW4Table},
};

constexpr std::array<uint8_t, 16> Biased(const std::array<int8_t, 16>& values) {
  std::array<uint8_t, 16> table = {};
  for (int i = 0; i < 16; ++i) table[i] = static_cast<uint8_t>(values[i] + 128);
  return table;
}
constexpr std::array<uint8_t, 16> kIQ4Table = Biased(tensor::kIQ4Values);
constexpr std::array<uint8_t, 16> kMXFP4Table = Biased(tensor::kMXFP4Values);

int64_t Panels(int64_t n) {
  return (n + kPanelRows - 1) / kPanelRows;
}

}  // namespace

size_t DenseBytes(DenseFormat format, int64_t n, int64_t k) {
  return static_cast<size_t>(Panels(n) * kPanelRows * k) * (format == DenseFormat::kF32 ? 4 : 2);
}

std::optional<PackPlan> PlanPack(DType dtype, int64_t n, int64_t k) {
  const auto dense = [&](DenseFormat format) {
    return PackPlan{.dense = true, .dense_format = format, .bytes = DenseBytes(format, n, k)};
  };
  if (dtype == DType::kF32) return dense(DenseFormat::kF32);
  if (dtype == DType::kF16) return dense(DenseFormat::kF16);
  if (dtype == DType::kBF16) return dense(DenseFormat::kBF16);
  if (k > kMaxK) return std::nullopt;
  for (const QuantizedPlan& plan : kPlans) {
    if (plan.dtype != dtype || k % tensor::Traits(dtype).block_elements != 0) continue;
    const auto bytes = static_cast<size_t>(Panels(n) * (k / kBlockK) * TraitsOf(plan.format).block_bytes);
    return PackPlan{.packed = plan.format, .bytes = bytes};
  }
  return std::nullopt;
}

bool PackPanels(DType dtype, const std::byte* source, int64_t n, int64_t k, int64_t panel_begin, int64_t panel_end,
                std::byte* panels) {
  const PackRange range = {source, n, k, panel_begin, panel_end, panels};
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

void PackDense(DType dtype, const std::byte* source, int64_t n, int64_t k, int64_t panel_begin, int64_t panel_end,
               DenseFormat format, std::byte* panels) {
  const PackRange range = {source, n, k, panel_begin, panel_end, panels};
  const std::optional<PackPlan> own = PlanPack(dtype, n, k);
  if (!own || !own->dense || own->dense_format != format) return ConvertDense(dtype, range, format);
  if (format == DenseFormat::kF32) return InterleaveSame<uint32_t>(range);
  InterleaveSame<uint16_t>(range);
}

const uint8_t* PackTable(DType dtype) {
  if (dtype == DType::kIQ4_NL || dtype == DType::kIQ4_XS) return kIQ4Table.data();
  if (dtype == DType::kMXFP4) return kMXFP4Table.data();
  return nullptr;
}

void UnpackRow(const PackedWeights& weights, int64_t row, float* out) {
  const PackedTraits traits = TraitsOf(weights.format);
  const auto r = static_cast<int>(row % kPanelRows);
  for (int64_t index = 0; index < weights.k / kBlockK; ++index) {
    const std::byte* block = BlockAt(weights, row / kPanelRows, index);
    for (int k = 0; k < kBlockK; ++k) {
      const int code = CodeOf(traits, weights.table, block, r, k) - traits.zero_point;
      const float value = ScaleOf(traits, block, r, k) * static_cast<float>(code);
      out[index * kBlockK + k] = traits.has_min ? value + MinOf(traits, block, r, k) : value;
    }
  }
}

void UnpackDenseRow(const DenseWeights& weights, int64_t row, float* out) {
  for (int64_t k = 0; k < weights.k; ++k) {
    const int64_t index = (row / kPanelRows * weights.k + k) * kPanelRows + row % kPanelRows;
    if (weights.format == DenseFormat::kF32) {
      std::memcpy(&out[k], weights.panels + 4 * index, sizeof(float));
      continue;
    }
    uint16_t bits;
    std::memcpy(&bits, weights.panels + 2 * index, sizeof bits);
    out[k] = weights.format == DenseFormat::kF16 ? tensor::F16ToF32(bits) : tensor::Bf16ToF32(bits);
  }
}

}  // namespace kvasir::kernels
