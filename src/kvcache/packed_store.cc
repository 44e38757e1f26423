#include "kvcache/packed_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "kernels/compact_codes.h"
#include "kvcache/block_rotation.h"

namespace kvasir::kvcache {

using kernels::kPageTokens;

namespace {

constexpr size_t kPageGranule = 64;  // the pool's pages are multiples of it

// Undoes what EncodeHalf does to rotated halves, x [64][D].
void RotatePageBack(std::vector<float>& x, int head_dim) {
  for (int slot = 0; slot < kPageTokens; ++slot) {
    RotateBlocksBack<1>(head_dim, x.data() + static_cast<ptrdiff_t>(slot) * head_dim);
  }
}

}  // namespace

Result<std::shared_ptr<const PackedStore>> PackedStore::Create(const KvShape& shape, kernels::PageFormat open,
                                                               PackedStoreOptions options) {
  KV_CHECK(options.layers.size() == static_cast<size_t>(shape.layers));
  KV_CHECK(options.rope_of_layer.size() == options.layers.size());
  auto store = std::shared_ptr<PackedStore>(new PackedStore(shape, std::move(options)));
  for (int layer = 0; layer < shape.layers; ++layer) {
    KV_TRY(kernels::CheckCompact(store->format(layer), shape.head_dim));
    const size_t bytes = store->PageBytes(layer);
    const size_t open_bytes = kernels::PageBytes(open, shape.head_dim);
    if (bytes > open_bytes) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("a compact page of layer {} would have {} bytes, more than an open one of {}: choose fewer "
                      "bits or fewer outliers, or a larger open format",
                      layer, bytes, open_bytes));
    }
  }
  return store;
}

PackedStore::PackedStore(const KvShape& shape, PackedStoreOptions options)
    : CompactStore(options.rule), shape_(shape), options_(std::move(options)) {
  for (const KeyRope& rope : options_.ropes) {
    rotations_.push_back(std::make_unique<KeyRotation>(rope, options_.context_tokens));
  }
  for (int layer = 0; layer < shape.layers; ++layer) {
    options_.layers[static_cast<size_t>(layer)].rope = rotation(layer).ForKernels();
  }
}

size_t PackedStore::PageBytes(int layer) const {
  const size_t bytes = kernels::PageBytes(format(layer), shape_.head_dim);
  return (bytes + kPageGranule - 1) / kPageGranule * kPageGranule;
}

const HalfCalibration* PackedStore::Calibration(const std::vector<HalfCalibration>& all, int layer, int kv_head) const {
  if (all.empty()) return nullptr;
  return &all[static_cast<size_t>(layer) * static_cast<size_t>(shape_.kv_heads) + static_cast<size_t>(kv_head)];
}

void PackedStore::Encode(int layer, int kv_head, int32_t first_position, std::span<const float> keys,
                         std::span<const float> values, std::byte* page) const {
  const kernels::CompactFormat& format = this->format(layer);
  const int d = shape_.head_dim;
  kernels::HalfCodes codes;
  std::vector<float> x(keys.begin(), keys.end());
  if (format.key.before_rope) rotation(layer).TurnBack(first_position, d, keys, x);
  EncodeHalf(format.key, d, Calibration(options_.key_calibration, layer, kv_head),
             options_.key_choices[static_cast<size_t>(layer)], x.data(), &codes);
  kernels::PackHalf(format.key, /*keys=*/true, d, codes, page);
  x.assign(values.begin(), values.end());
  EncodeHalf(format.value, d, Calibration(options_.value_calibration, layer, kv_head),
             options_.value_choices[static_cast<size_t>(layer)], x.data(), &codes);
  kernels::PackHalf(format.value, /*keys=*/false, d, codes, page + kernels::HalfBytes(format.key, d));
}

void PackedStore::Decode(int layer, int /*kv_head*/, int32_t first_position, const std::byte* page,
                         std::span<float> keys, std::span<float> values) const {
  const kernels::CompactFormat& format = this->format(layer);
  const int d = shape_.head_dim;
  std::vector<float> x(keys.size());
  kernels::UnpackHalf(format.key, /*keys=*/true, d, page, x.data());
  if (format.key.rotated) RotatePageBack(x, d);
  if (format.key.before_rope) {
    rotation(layer).Turn(first_position, d, x, keys);
  } else {
    std::ranges::copy(x, keys.begin());
  }
  kernels::UnpackHalf(format.value, /*keys=*/false, d, page + kernels::HalfBytes(format.key, d), x.data());
  if (format.value.rotated) RotatePageBack(x, d);
  std::ranges::copy(x, values.begin());
}

}  // namespace kvasir::kvcache
