// Bits by layer: from a budget of bits per element to a codec for the keys and one for the values of each layer.
//
// The problem: three of thirty layers may hold most of what 2-bit keys cost, so the same bits everywhere are wasted on
// most. The idea: a calibration measures what 2 bits cost in each half of each layer alone; more bits reduce that by
// factors that hardly depend on the layer; and the budget goes where it buys most (kvcache/bit_allocation.h). Figures:
// docs/design/0004-cache-codes.md.
#include <fmt/format.h>

#include <array>

#include "base/check.h"
#include "engine/kv_plan.h"
#include "kvcache/bit_allocation.h"
#include "kvcache/half_codec.h"

namespace kvasir {
namespace {

// The codecs that are chosen from, and their loss as a multiple of that of ch2.
struct Choice {
  const char* codec;
  double loss;
};
constexpr std::array kChoices = {Choice{"ch2s", 1.4}, Choice{"ch2", 1.0}, Choice{"ch3", 1.0 / 7},
                                 Choice{"ch4", 1.0 / 32}, Choice{"ch5", 1.0 / 128}};

double BitsOf(const kvcache::HalfCodec& codec, bool keys, int head_dim) {
  kernels::CompactHalf half = keys ? codec.keys : codec.values;
  const int elements = head_dim * kernels::kPageTokens;
  half.outliers =
      static_cast<uint8_t>(kvcache::OutlierCount(keys ? codec.key_outliers : codec.value_outliers, head_dim));
  return static_cast<double>(kernels::HalfBytes(half, head_dim)) * 8 / elements;
}

// Layers in a row that have the same codec, unless that is the common one.
void AddRuns(bool keys, const std::vector<std::string>& codecs, const std::string& common, KvSpec* spec) {
  for (size_t first = 0; first < codecs.size();) {
    size_t last = first;
    while (last + 1 < codecs.size() && codecs[last + 1] == codecs[first]) ++last;
    if (codecs[first] != common) {
      spec->layers.push_back({keys, static_cast<int>(first), static_cast<int>(last), codecs[first]});
    }
    first = last + 1;
  }
}

}  // namespace

Result<KvSpec> WithBitsByLayer(const KvSpec& spec, const CalibrationData* calibration, int head_dim) {
  if (spec.bits <= 0) return spec;
  if (calibration == nullptr || calibration->key_losses.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the cache specification '{}' needs to know what each layer's bits are worth: run 'kvasir "
                            "calibrate' for this model first, with --layers",
                            KvSpecText(spec)));
  }
  const size_t layers = calibration->key_losses.size();
  std::vector<std::vector<kvcache::StorageChoice>> halves;
  for (const bool keys : {true, false}) {
    for (const float loss : keys ? calibration->key_losses : calibration->value_losses) {
      std::vector<kvcache::StorageChoice>& choices = halves.emplace_back();
      for (const Choice& choice : kChoices) {
        KV_ASSIGN(const kvcache::HalfCodec* codec, kvcache::FindHalfCodec(choice.codec));
        choices.push_back({.bits = BitsOf(*codec, keys, head_dim), .loss = loss * choice.loss});
      }
    }
  }
  const auto chosen = kvcache::AllocateBits(halves, spec.bits);
  if (!chosen) {
    return Fail(chosen.error().code, fmt::format("the cache specification '{}' cannot be met: {}", KvSpecText(spec),
                                                 chosen.error().message));
  }
  std::array<std::vector<std::string>, 2> codecs;  // of keys, of values
  for (size_t i = 0; i < chosen->size(); ++i) codecs[i / layers].push_back(kChoices[(*chosen)[i]].codec);
  KvSpec explicit_spec = spec;
  explicit_spec.bits = 0;
  explicit_spec.keys = codecs[0].front();
  explicit_spec.values = codecs[1].front();
  AddRuns(true, codecs[0], explicit_spec.keys, &explicit_spec);
  AddRuns(false, codecs[1], explicit_spec.values, &explicit_spec);
  return explicit_spec;
}

}  // namespace kvasir
