// Random compact pages for the tests and benchmarks of this room.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/compact_codes.h"
#include "kernels/test_matrices.h"

namespace kvasir::kernels {

/// Half formats in all combinations but for bits: 0 <= index < 64, of which values use those below 32.
inline CompactHalf HalfVariant(int bits, int index) {
  CompactHalf half;
  half.bits = static_cast<uint8_t>(bits);
  half.grouping = index % 2 == 0 ? Grouping::kChannels : Grouping::kTokens;
  half.group = index / 2 % 2 == 0 ? 32 : 64;
  half.offset = index / 4 % 2 == 1;
  half.rotated = index / 8 % 2 == 1;
  half.outliers = index / 16 % 2 == 1 ? 21 : 0;
  half.before_rope = index / 32 % 2 == 1;
  TestRandom random(static_cast<uint64_t>(bits * 100 + index));
  // Uniform levels and, for every other one, some that no rule makes, with the ends of the range among them.
  for (int i = 0; i < 32; ++i) {
    half.level[i] = static_cast<int8_t>(index % 3 == 0 ? UniformLevel(bits, i % (1 << std::min(bits, 5)))
                                                       : static_cast<int>(random.Next() % 256) - 128);
  }
  if (index % 3 == 1) half.level[1] = -128, half.level[2] = 127;
  return half;
}

/// Random codes of a half whose elements are about `size` large.
inline HalfCodes RandomCodes(const CompactHalf& half, int head_dim, float size, TestRandom& random) {
  HalfCodes codes;
  codes.codes.resize(static_cast<size_t>(kPageTokens) * static_cast<size_t>(head_dim));
  for (uint8_t& code : codes.codes) code = static_cast<uint8_t>(random.Below(1 << half.bits));
  codes.scales.resize(ScalesOf(half, head_dim));
  for (float& scale : codes.scales) scale = (0.3F + std::abs(random.Signed())) * size / 90;
  if (half.offset) {
    codes.offsets.resize(codes.scales.size());
    for (float& offset : codes.offsets) offset = random.Signed() * size;
  }
  const int count = half.outliers == 0 ? 0 : half.outliers - random.Below(4);
  for (int i = 0; i < count; ++i) {
    codes.outliers.push_back({.feature = static_cast<uint16_t>(random.Below(head_dim)),
                              .slot = static_cast<uint16_t>(random.Below(kPageTokens)),
                              .difference = 8 * size * random.Signed()});
  }
  return codes;
}

/// The tables of a RoPE over the first n_rot features, for positions below 64 * num_pages.
class TestRope {
 public:
  TestRope(int n_rot, bool neox, int num_pages, int turned_pairs)
      : n_rot_(n_rot), turned_pairs_(turned_pairs), neox_(neox) {
    const auto pairs = static_cast<size_t>(n_rot / 2);
    slot_cos_.resize(pairs * kPageTokens);
    slot_sin_.resize(pairs * kPageTokens);
    page_cos_.resize(pairs * static_cast<size_t>(num_pages));
    page_sin_.resize(pairs * static_cast<size_t>(num_pages));
    for (int i = 0; i < n_rot / 2; ++i) {
      for (int s = 0; s < kPageTokens; ++s) {
        const int turn = i < turned_pairs ? s - kMiddle : 0;
        Fill(slot_cos_, slot_sin_, static_cast<size_t>(i) * kPageTokens + s, i, turn);
      }
      for (int p = 0; p < num_pages; ++p) Fill(page_cos_, page_sin_, p * pairs + i, i, p * kPageTokens + kMiddle);
    }
  }
  /// The angle between what is stored of a key at `position` and the key.
  double StoredAngle(int pair, int position) const {
    return Angle(pair, pair < turned_pairs_ ? position : position / kPageTokens * kPageTokens + kMiddle);
  }
  double Angle(int pair, int position) const { return position * std::pow(10000.0, -2.0 * pair / n_rot_); }
  CompactRope view() const {
    return {n_rot_, turned_pairs_, neox_, slot_cos_.data(), slot_sin_.data(), page_cos_.data(), page_sin_.data()};
  }

 private:
  void Fill(std::vector<float>& cos, std::vector<float>& sin, size_t at, int pair, int position) const {
    cos[at] = static_cast<float>(std::cos(Angle(pair, position)));
    sin[at] = static_cast<float>(std::sin(Angle(pair, position)));
  }

  static constexpr int kMiddle = kPageTokens / 2;

  int n_rot_;
  int turned_pairs_;
  bool neox_;
  std::vector<float> slot_cos_, slot_sin_, page_cos_, page_sin_;
};

/// Random pages of a format at positions 64 * first_page, ...
class TestPages {
 public:
  TestPages(const CompactFormat& format, int head_dim, int num_pages, int first_page, uint64_t seed)
      : format_(format),
        head_dim_(head_dim),
        page_bytes_(PageBytes(format, head_dim)),
        bytes_(num_pages * page_bytes_) {
    TestRandom random(seed);
    for (int i = 0; i < num_pages; ++i) {
      keys.push_back(RandomCodes(format.key, head_dim, 1.0F, random));
      values.push_back(RandomCodes(format.value, head_dim, 1.0F, random));
      refs.push_back({.data = page(i), .first_position = (first_page + i) * kPageTokens, .count = kPageTokens});
      Pack(i);
    }
  }
  /// Writes page i again, after its codes were changed.
  void Pack(int i) {
    PackHalf(format_.key, /*keys=*/true, head_dim_, keys[i], page(i));
    PackHalf(format_.value, /*keys=*/false, head_dim_, values[i], page(i) + HalfBytes(format_.key, head_dim_));
  }
  std::byte* page(int i) { return bytes_.data() + i * page_bytes_; }

  std::vector<HalfCodes> keys, values;
  std::vector<PageRef> refs;

 private:
  CompactFormat format_;
  int head_dim_;
  size_t page_bytes_;
  AlignedBytes bytes_;
};

}  // namespace kvasir::kernels
