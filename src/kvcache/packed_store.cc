#include "kvcache/packed_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "kernels/compact_codes.h"

namespace kvasir::kvcache {

using kernels::CompactHalf;
using kernels::CompactRope;
using kernels::kPageTokens;

namespace {

constexpr size_t kPageGranule = 64;  // the pool's pages are multiples of it

// x [D] = H x, block by block, where H is Sylvester's matrix of +1 and -1; twice gives the block's size times x.
void RotateBlocks(float* x, int head_dim) {
  for (int begin = 0; begin < head_dim; begin += kernels::kQ8BlockFeatures) {
    const int n = std::min(kernels::kQ8BlockFeatures, head_dim - begin);
    for (int half = 1; half < n; half *= 2) {
      for (int i = 0; i < n; ++i) {
        if ((i & half) != 0) continue;
        float& low = x[begin + i];
        float& high = x[begin + i + half];
        const float sum = low + high;
        high = low - high;
        low = sum;
      }
    }
  }
}

void RotateBlocksBack(float* x, int head_dim) {
  RotateBlocks(x, head_dim);
  for (int d = 0; d < head_dim; ++d) {
    const int begin = d / kernels::kQ8BlockFeatures * kernels::kQ8BlockFeatures;
    x[d] /= static_cast<float>(std::min(kernels::kQ8BlockFeatures, head_dim - begin));
  }
}

template <typename Rotate>
void ForTokens(std::vector<float>& x, int head_dim, Rotate rotate) {
  for (int slot = 0; slot < kPageTokens; ++slot) rotate(x.data() + static_cast<ptrdiff_t>(slot) * head_dim, head_dim);
}

// Where the two features of pair i stand in the model's keys.
struct Pair {
  size_t first, second;
};
Pair PairOf(const CompactRope& rope, int i) {
  const auto pair = static_cast<size_t>(i);
  if (rope.neox) return {pair, pair + static_cast<size_t>(rope.n_rot) / 2};
  return {2 * pair, 2 * pair + 1};
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
  MakeRopeTables();
}

void PackedStore::MakeRopeTables() {
  const int pages = options_.context_tokens / kPageTokens + 2;
  tables_.resize(options_.ropes.size());
  for (size_t r = 0; r < tables_.size(); ++r) {
    const KeyRope& rope = options_.ropes[r];
    RopeTables& tables = tables_[r];
    for (const double frequency : rope.frequencies) {
      for (int slot = 0; slot < kPageTokens; ++slot) {
        tables.slot_cos.push_back(static_cast<float>(std::cos(slot * frequency)) * rope.magnitude);
        tables.slot_sin.push_back(static_cast<float>(std::sin(slot * frequency)) * rope.magnitude);
      }
    }
    for (int page = 0; page < pages; ++page) {
      for (const double frequency : rope.frequencies) {
        tables.page_cos.push_back(static_cast<float>(std::cos(page * kPageTokens * frequency)));
        tables.page_sin.push_back(static_cast<float>(std::sin(page * kPageTokens * frequency)));
      }
    }
  }
  for (size_t layer = 0; layer < options_.layers.size(); ++layer) {
    const auto r = static_cast<size_t>(options_.rope_of_layer[layer]);
    options_.layers[layer].rope = {.n_rot = static_cast<int>(2 * options_.ropes[r].frequencies.size()),
                                   .neox = options_.ropes[r].neox,
                                   .slot_cos = tables_[r].slot_cos.data(),
                                   .slot_sin = tables_[r].slot_sin.data(),
                                   .page_cos = tables_[r].page_cos.data(),
                                   .page_sin = tables_[r].page_sin.data()};
  }
}

size_t PackedStore::PageBytes(int layer) const {
  const size_t bytes = kernels::PageBytes(format(layer), shape_.head_dim);
  return (bytes + kPageGranule - 1) / kPageGranule * kPageGranule;
}

// The page's keys as they were before RoPE, pair partners side by side.
void PackedStore::TurnBack(const CompactRope& rope, int32_t first_position, std::span<const float> keys,
                           std::span<float> turned) const {
  const auto d = static_cast<size_t>(shape_.head_dim);
  const auto pairs = static_cast<size_t>(rope.n_rot) / 2;
  const size_t page = static_cast<size_t>(first_position) / kPageTokens;
  // The table of slots carries the magnitude, as the stored keys do.
  const float magnitude = pairs == 0 ? 1 : rope.slot_cos[0];  // of position 0: cos is 1
  const float factor = 1 / (magnitude * magnitude);
  for (size_t slot = 0; slot < kPageTokens; ++slot) {
    const float* key = keys.data() + slot * d;
    float* out = turned.data() + slot * d;
    for (size_t i = 0; i < pairs; ++i) {
      const Pair pair = PairOf(rope, static_cast<int>(i));
      const float x = key[pair.first];
      const float y = key[pair.second];
      const float page_cos = rope.page_cos[page * pairs + i];
      const float page_sin = rope.page_sin[page * pairs + i];
      const float slot_cos = rope.slot_cos[i * kPageTokens + slot] * factor;
      const float slot_sin = rope.slot_sin[i * kPageTokens + slot] * factor;
      const float a = x * page_cos + y * page_sin;
      const float b = y * page_cos - x * page_sin;
      out[2 * i] = a * slot_cos + b * slot_sin;
      out[2 * i + 1] = b * slot_cos - a * slot_sin;
    }
    std::copy(key + rope.n_rot, key + d, out + rope.n_rot);
  }
}

// The reverse.
void PackedStore::Turn(const CompactRope& rope, int32_t first_position, std::span<const float> turned,
                       std::span<float> keys) const {
  const auto d = static_cast<size_t>(shape_.head_dim);
  const auto pairs = static_cast<size_t>(rope.n_rot) / 2;
  const size_t page = static_cast<size_t>(first_position) / kPageTokens;
  for (size_t slot = 0; slot < kPageTokens; ++slot) {
    const float* in = turned.data() + slot * d;
    float* key = keys.data() + slot * d;
    for (size_t i = 0; i < pairs; ++i) {
      const Pair pair = PairOf(rope, static_cast<int>(i));
      const float page_cos = rope.page_cos[page * pairs + i];
      const float page_sin = rope.page_sin[page * pairs + i];
      const float slot_cos = rope.slot_cos[i * kPageTokens + slot];
      const float slot_sin = rope.slot_sin[i * kPageTokens + slot];
      const float a = in[2 * i] * slot_cos - in[2 * i + 1] * slot_sin;
      const float b = in[2 * i + 1] * slot_cos + in[2 * i] * slot_sin;
      key[pair.first] = a * page_cos - b * page_sin;
      key[pair.second] = b * page_cos + a * page_sin;
    }
    std::copy(in + rope.n_rot, in + d, key + rope.n_rot);
  }
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
  if (format.key.before_rope) TurnBack(format.rope, first_position, keys, x);
  if (format.key.rotated) ForTokens(x, d, RotateBlocks);
  EncodeHalf(format.key, d, Calibration(options_.key_calibration, layer, kv_head), x.data(), &codes);
  kernels::PackHalf(format.key, /*keys=*/true, d, codes, page);
  x.assign(values.begin(), values.end());
  if (format.value.rotated) ForTokens(x, d, RotateBlocks);
  EncodeHalf(format.value, d, Calibration(options_.value_calibration, layer, kv_head), x.data(), &codes);
  kernels::PackHalf(format.value, /*keys=*/false, d, codes, page + kernels::HalfBytes(format.key, d));
}

void PackedStore::Decode(int layer, int /*kv_head*/, int32_t first_position, const std::byte* page,
                         std::span<float> keys, std::span<float> values) const {
  const kernels::CompactFormat& format = this->format(layer);
  const int d = shape_.head_dim;
  std::vector<float> x(keys.size());
  kernels::UnpackHalf(format.key, /*keys=*/true, d, page, x.data());
  if (format.key.rotated) ForTokens(x, d, RotateBlocksBack);
  if (format.key.before_rope) {
    Turn(format.rope, first_position, x, keys);
  } else {
    std::ranges::copy(x, keys.begin());
  }
  kernels::UnpackHalf(format.value, /*keys=*/false, d, page + kernels::HalfBytes(format.key, d), x.data());
  if (format.value.rotated) ForTokens(x, d, RotateBlocksBack);
  std::ranges::copy(x, values.begin());
}

}  // namespace kvasir::kvcache
