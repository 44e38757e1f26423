// For tests of sequences with the codecs that users name: a store of one of them for any shape, without a calibration.
#pragma once

#include <cmath>
#include <memory>
#include <string>

#include "kernels/kernels.h"
#include "kvcache/half_codec.h"
#include "kvcache/kv_options.h"
#include "kvcache/packed_store.h"

namespace kvasir::kvcache {

/// Keys and values of every layer as `codec_name` stores them, with its share of exact elements, for sequences of at
/// most `context_tokens`.
inline std::shared_ptr<const PackedStore> PackedStoreForTest(const std::string& codec_name, const KvShape& shape,
                                                             kernels::PageFormat open, const CompactRule& rule,
                                                             int context_tokens) {
  const HalfCodec& codec = *FindHalfCodec(codec_name).value();
  const auto outliers = [&](double share) { return static_cast<uint8_t>(OutlierCount(share, shape.head_dim)); };
  kernels::CompactFormat format{.key = codec.keys, .value = codec.values};
  format.key.outliers = outliers(codec.key_outliers);
  format.value.outliers = outliers(codec.value_outliers);
  KeyRope rope{.neox = true};
  for (int i = 0; i < shape.head_dim / 2; ++i) {
    rope.frequencies.push_back(std::pow(10000.0, -2.0 * i / shape.head_dim));
  }
  const auto layers = static_cast<size_t>(shape.layers);
  return PackedStore::Create(shape, open,
                             {.rule = rule,
                              .layers = std::vector<kernels::CompactFormat>(layers, format),
                              .key_choices = std::vector<HalfChoices>(layers, codec.key_range),
                              .value_choices = std::vector<HalfChoices>(layers, codec.value_range),
                              .ropes = {rope},
                              .rope_of_layer = std::vector<int>(layers, 0),
                              .context_tokens = context_tokens,
                              .identity = codec_name})
      .value();
}

}  // namespace kvasir::kvcache
