// What a tensor becomes for the kernels, and packed rows read back. The packing itself is in pack_quantized.cc and
// pack_dense.cc.
#include "kernels/pack.h"

#include <array>
#include <cstring>

#include "kernels/pack_rows.h"
#include "kernels/packed_block.h"
#include "tensor/blocks.h"
#include "tensor/half.h"

namespace kvasir::kernels {
namespace {

using tensor::DType;

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
  return PackQuantized(dtype, {source, n, k, panel_begin, panel_end, panels});
}

void PackDense(DType dtype, const std::byte* source, int64_t n, int64_t k, int64_t panel_begin, int64_t panel_end,
               DenseFormat format, std::byte* panels) {
  const PackRange range = {source, n, k, panel_begin, panel_end, panels};
  const std::optional<PackPlan> own = PlanPack(dtype, n, k);
  if (!own || !own->dense || own->dense_format != format) return ConvertDense(dtype, range, format);
  Interleave(range, format == DenseFormat::kF32 ? 4 : 2);
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
