// The compact pages that the kernels read: a codec for the keys and one for the values of each layer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/compact_page.h"
#include "kvasir/result.h"
#include "kvcache/compact_store.h"
#include "kvcache/encode_half.h"
#include "kvcache/key_rotation.h"
#include "kvcache/kv_options.h"

namespace kvasir::kvcache {

/// What a PackedStore is made of.
struct PackedStoreOptions {
  CompactRule rule;
  /// How each layer stores its pages [L]; `rope` is filled in.
  std::vector<kernels::CompactFormat> layers;
  /// What encoders do with the keys and with the values of each layer [L].
  std::vector<HalfChoices> key_choices;
  std::vector<HalfChoices> value_choices;
  std::vector<KeyRope> ropes;      ///< The distinct rotations.
  std::vector<int> rope_of_layer;  ///< [L] index into `ropes`.
  int context_tokens = 0;          ///< The longest sequence.
  /// What encoders know of the model, [L * KVH] each, or empty.
  std::vector<HalfCalibration> key_calibration;
  std::vector<HalfCalibration> value_calibration;
  std::string identity;  ///< Names all of the above.
};

class PackedStore final : public CompactStore {
 public:
  /// Errors: kInvalidArgument where the kernels cannot read a format, or it is larger than an open page would be.
  [[nodiscard]] static Result<std::shared_ptr<const PackedStore>> Create(const KvShape& shape, kernels::PageFormat open,
                                                                         PackedStoreOptions options);

  [[nodiscard]] std::string identity() const override { return options_.identity; }
  [[nodiscard]] size_t PageBytes(int layer) const override;
  [[nodiscard]] std::span<const kernels::CompactFormat> formats() const override { return options_.layers; }
  [[nodiscard]] bool position_free(int layer) const override {
    return formats()[static_cast<size_t>(layer)].key.before_rope;
  }
  void Encode(int layer, int kv_head, int32_t first_position, std::span<const float> keys,
              std::span<const float> values, std::byte* page) const override;
  void Decode(int layer, int kv_head, int32_t first_position, const std::byte* page, std::span<float> keys,
              std::span<float> values) const override;

 private:
  const kernels::CompactFormat& format(int layer) const { return options_.layers[static_cast<size_t>(layer)]; }
  PackedStore(const KvShape& shape, PackedStoreOptions options);
  const KeyRotation& rotation(int layer) const {
    return *rotations_[static_cast<size_t>(options_.rope_of_layer[static_cast<size_t>(layer)])];
  }
  const HalfCalibration* Calibration(const std::vector<HalfCalibration>& all, int layer, int kv_head) const;

  KvShape shape_;
  PackedStoreOptions options_;
  std::vector<std::unique_ptr<KeyRotation>> rotations_;  // the distinct ones
};

}  // namespace kvasir::kvcache
