#include "kvcache/key_rotation.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace kvasir::kvcache {

using kernels::kPageTokens;

namespace {

constexpr int kMiddle = kPageTokens / 2;
// Radians by which a pair may turn from the middle of a page to its end and still count as standing still. A feature's
// mean is then smeared by at most a tenth of its size: less than a code of 4 bits.
constexpr double kStill = 0.1;

}  // namespace

KeyRotation::KeyRotation(KeyRope rope, int context_tokens) : rope_(std::move(rope)) {
  for (size_t i = 0; i < pairs(); ++i) {
    if (kMiddle * std::abs(rope_.frequencies[i]) > kStill) turned_pairs_ = i + 1;
  }
  for (size_t i = 0; i < pairs(); ++i) {
    for (int slot = 0; slot < kPageTokens; ++slot) {
      const double angle = (slot - kMiddle) * rope_.frequencies[i];
      slot_cos_.push_back(i < turned_pairs_ ? static_cast<float>(std::cos(angle)) * rope_.magnitude : 1);
      slot_sin_.push_back(i < turned_pairs_ ? static_cast<float>(std::sin(angle)) * rope_.magnitude : 0);
    }
  }
  const int pages = context_tokens / kPageTokens + 2;
  for (int page = 0; page < pages; ++page) {
    const double middle = page * kPageTokens + kMiddle;
    for (const double frequency : rope_.frequencies) {
      page_cos_.push_back(static_cast<float>(std::cos(middle * frequency)));
      page_sin_.push_back(static_cast<float>(std::sin(middle * frequency)));
    }
  }
}

kernels::CompactRope KeyRotation::ForKernels() const {
  return {.n_rot = static_cast<int>(2 * pairs()),
          .turned_pairs = static_cast<int>(turned_pairs_),
          .neox = rope_.neox,
          .slot_cos = slot_cos_.data(),
          .slot_sin = slot_sin_.data(),
          .page_cos = page_cos_.data(),
          .page_sin = page_sin_.data()};
}

// Where the two features of pair i stand in the model's heads.
KeyRotation::Pair KeyRotation::PairAt(size_t i) const {
  if (rope_.neox) return {i, i + pairs()};
  return {2 * i, 2 * i + 1};
}

void KeyRotation::TurnBack(int32_t first_position, int head_dim, std::span<const float> keys,
                           std::span<float> turned) const {
  const auto d = static_cast<size_t>(head_dim);
  const float* page_cos = page_cos_.data() + static_cast<size_t>(first_position / kPageTokens) * pairs();
  const float* page_sin = page_sin_.data() + static_cast<size_t>(first_position / kPageTokens) * pairs();
  // The keys carry the magnitude, and so does the table of slots, where it turns.
  const float factor = 1 / (rope_.magnitude * rope_.magnitude);
  for (size_t slot = 0; slot < kPageTokens; ++slot) {
    const float* key = keys.data() + slot * d;
    float* out = turned.data() + slot * d;
    for (size_t i = 0; i < pairs(); ++i) {
      const Pair pair = PairAt(i);
      const float a = key[pair.first] * page_cos[i] + key[pair.second] * page_sin[i];
      const float b = key[pair.second] * page_cos[i] - key[pair.first] * page_sin[i];
      const float slot_cos = slot_cos_[i * kPageTokens + slot] * (i < turned_pairs_ ? factor : 1);
      const float slot_sin = slot_sin_[i * kPageTokens + slot] * factor;
      out[2 * i] = a * slot_cos + b * slot_sin;
      out[2 * i + 1] = b * slot_cos - a * slot_sin;
    }
    std::copy(key + 2 * pairs(), key + d, out + 2 * pairs());
  }
}

void KeyRotation::Turn(int32_t first_position, int head_dim, std::span<const float> turned,
                       std::span<float> keys) const {
  const auto d = static_cast<size_t>(head_dim);
  const float* page_cos = page_cos_.data() + static_cast<size_t>(first_position / kPageTokens) * pairs();
  const float* page_sin = page_sin_.data() + static_cast<size_t>(first_position / kPageTokens) * pairs();
  for (size_t slot = 0; slot < kPageTokens; ++slot) {
    const float* in = turned.data() + slot * d;
    float* key = keys.data() + slot * d;
    for (size_t i = 0; i < pairs(); ++i) {
      const Pair pair = PairAt(i);
      const float slot_cos = slot_cos_[i * kPageTokens + slot];
      const float slot_sin = slot_sin_[i * kPageTokens + slot];
      const float a = in[2 * i] * slot_cos - in[2 * i + 1] * slot_sin;
      const float b = in[2 * i + 1] * slot_cos + in[2 * i] * slot_sin;
      key[pair.first] = a * page_cos[i] - b * page_sin[i];
      key[pair.second] = b * page_cos[i] + a * page_sin[i];
    }
    std::copy(in + 2 * pairs(), in + d, key + 2 * pairs());
  }
}

void KeyRotation::TurnBackQuery(int32_t position, std::span<const float> query, std::span<float> turned) const {
  const float* page_cos = page_cos_.data() + static_cast<size_t>(position / kPageTokens) * pairs();
  const float* page_sin = page_sin_.data() + static_cast<size_t>(position / kPageTokens) * pairs();
  for (size_t i = 0; i < pairs(); ++i) {
    const Pair pair = PairAt(i);
    turned[2 * i] = query[pair.first] * page_cos[i] + query[pair.second] * page_sin[i];
    turned[2 * i + 1] = query[pair.second] * page_cos[i] - query[pair.first] * page_sin[i];
  }
  std::copy(query.begin() + static_cast<std::ptrdiff_t>(2 * pairs()), query.end(),
            turned.begin() + static_cast<std::ptrdiff_t>(2 * pairs()));
}

}  // namespace kvasir::kvcache
