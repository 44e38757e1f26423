// Packs and unpacks compact pages one element at a time, in the words of the layout in compact_page.h.
#include "kernels/compact_codes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "kernels/page_elements.h"
#include "tensor/half.h"

namespace kvasir::kernels {
namespace {

constexpr int kMaxHeadDim = 512;
constexpr int kVectorLanes = 32;

// Where the code of feature d at `slot` stands in the order of q8 pages.
int CodeIndex(bool keys, int head_dim, int slot, int d) {
  return keys ? (d / 2 * kPageTokens + slot) * 2 + d % 2 : (slot / 2 * head_dim + d) * 2 + slot % 2;
}

// `bits` bits of a code, from bit `shift` of it on, in the plane of that many bits that begins at byte `begin` of a
// chunk.
struct Plane {
  int begin;
  int bits;
  int shift;
};
struct Planes {
  Plane plane[2];
  int count;
};
Planes PlanesOf(int bits) {
  if (bits == 3 || bits == 5) return {{{0, bits - 1, 0}, {(bits - 1) * kCompactChunk / 8, 1, bits - 1}}, 2};
  return {{{0, bits, 0}, {}}, 1};
}

// The 16-bit word that holds a code's part of a plane, and the place of its lowest bit there.
struct WordPlace {
  size_t word;
  int bit;
};
WordPlace PlaceIn(const Plane& plane, int index_in_chunk) {
  const int vector = index_in_chunk / kVectorLanes;
  const int lane = index_in_chunk % kVectorLanes;
  const int vectors = 16 / plane.bits;  // that share a packed vector
  return {static_cast<size_t>(plane.begin / 2 + vector / vectors * kVectorLanes + lane), vector % vectors * plane.bits};
}

size_t ChunkBytes(int bits) {
  return static_cast<size_t>(kCompactChunk) * static_cast<size_t>(bits) / 8;
}

void PutCode(int bits, std::byte* packed, int index, unsigned code) {
  std::byte* chunk = packed + index / kCompactChunk * ChunkBytes(bits);
  const int at = index % kCompactChunk;
  if (bits == 8) return WriteElement(chunk, at, static_cast<uint8_t>(code));
  const Planes planes = PlanesOf(bits);
  for (int i = 0; i < planes.count; ++i) {
    const Plane& plane = planes.plane[i];
    const WordPlace place = PlaceIn(plane, at);
    const unsigned part = code >> plane.shift & ((1U << plane.bits) - 1);
    WriteElement(chunk, place.word,
                 static_cast<uint16_t>(ReadElement<uint16_t>(chunk, place.word) | part << place.bit));
  }
}

unsigned GetCode(int bits, const std::byte* packed, int index) {
  const std::byte* chunk = packed + index / kCompactChunk * ChunkBytes(bits);
  const int at = index % kCompactChunk;
  if (bits == 8) return ReadElement<uint8_t>(chunk, at);
  const Planes planes = PlanesOf(bits);
  unsigned code = 0;
  for (int i = 0; i < planes.count; ++i) {
    const Plane& plane = planes.plane[i];
    const WordPlace place = PlaceIn(plane, at);
    code |= (static_cast<unsigned>(ReadElement<uint16_t>(chunk, place.word)) >> place.bit & ((1U << plane.bits) - 1))
            << plane.shift;
  }
  return code;
}

// Which scale belongs to feature d at `slot`.
size_t ScaleIndex(const CompactHalf& half, int head_dim, int slot, int d) {
  return half.grouping == Grouping::kChannels ? static_cast<size_t>(slot / half.group) * head_dim + d
                                              : static_cast<size_t>(d / half.group) * kPageTokens + slot;
}

Status CheckHalf(const char* name, const CompactHalf& half) {
  const auto fail = [&](const char* what, int value, const char* allowed) -> Status {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a compact page's {} cannot have {} {}: {}", name, what, value, allowed));
  };
  if (half.bits < 2 || half.bits > 8 || half.bits == 6 || half.bits == 7) {
    return fail("bits", half.bits, "2, 3, 4, 5 and 8 are possible");
  }
  if (half.group != 32 && half.group != 64) return fail("group", half.group, "32 and 64 are possible");
  return {};
}

}  // namespace

Status CheckCompact(const CompactFormat& format, int head_dim) {
  if (head_dim < 16 || head_dim > kMaxHeadDim || head_dim % 16 != 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("compact pages of {} features are not possible: multiples of 16 up to {} are", head_dim,
                            kMaxHeadDim));
  }
  KV_TRY(CheckHalf("keys", format.key));
  KV_TRY(CheckHalf("values", format.value));
  if (format.value.before_rope) {
    return Fail(ErrorCode::kInvalidArgument, "values have no position: only keys can be stored before RoPE");
  }
  if (!format.key.before_rope) return {};
  const CompactRope& rope = format.rope;
  if (rope.n_rot < 2 || rope.n_rot > head_dim || rope.n_rot % 2 != 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("keys of {} features cannot be stored before a RoPE of {} of them: an even number up to "
                            "{} is possible",
                            head_dim, rope.n_rot, head_dim));
  }
  if (rope.turned_pairs < 0 || rope.turned_pairs > rope.n_rot / 2) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("keys cannot be stored before a RoPE that turns {} of {} pairs within a page",
                            rope.turned_pairs, rope.n_rot / 2));
  }
  if (rope.slot_cos == nullptr || rope.slot_sin == nullptr || rope.page_cos == nullptr || rope.page_sin == nullptr) {
    return Fail(ErrorCode::kInvalidArgument, "keys stored before RoPE need the tables of its cosines and sines");
  }
  return {};
}

float StoredNumber(float x) {
  return tensor::F16ToF32(SaturatedF16(x));
}

void PackHalf(const CompactHalf& half, bool keys, int head_dim, const HalfCodes& codes, std::byte* page_half) {
  const HalfLayout layout = LayoutOf(half, head_dim);
  const size_t scales = ScalesOf(half, head_dim);
  KV_CHECK(codes.codes.size() == static_cast<size_t>(kPageTokens) * static_cast<size_t>(head_dim));
  KV_CHECK(codes.scales.size() == scales);
  KV_CHECK(codes.offsets.size() == (half.offset ? scales : 0));
  KV_CHECK(codes.outliers.size() <= half.outliers);
  std::memset(page_half, 0, layout.bytes);
  for (int slot = 0; slot < kPageTokens; ++slot) {
    for (int d = 0; d < head_dim; ++d) {
      const unsigned code = codes.codes[static_cast<size_t>(slot) * head_dim + d];
      KV_CHECK(code >> half.bits == 0);
      PutCode(half.bits, page_half, CodeIndex(keys, head_dim, slot, d), code);
    }
  }
  for (size_t i = 0; i < scales; ++i) {
    WriteElement(page_half + layout.scales, i, SaturatedF16(codes.scales[i]));
    if (half.offset) WriteElement(page_half + layout.offsets, i, SaturatedF16(codes.offsets[i]));
  }
  if (half.outliers == 0) return;
  std::byte* places = page_half + layout.outliers;
  WriteElement(places, 0, static_cast<uint16_t>(codes.outliers.size()));
  for (size_t i = 0; i < codes.outliers.size(); ++i) {
    const Outlier& outlier = codes.outliers[i];
    KV_CHECK(outlier.slot < kPageTokens && outlier.feature < head_dim);
    WriteElement(places, 1 + i, static_cast<uint16_t>(outlier.feature * kPageTokens + outlier.slot));
    WriteElement(places, 1 + half.outliers + i, SaturatedF16(outlier.difference));
  }
}

void UnpackHalf(const CompactHalf& half, bool keys, int head_dim, const std::byte* page_half, float* x) {
  const HalfLayout layout = LayoutOf(half, head_dim);
  for (int slot = 0; slot < kPageTokens; ++slot) {
    for (int d = 0; d < head_dim; ++d) {
      const unsigned code = GetCode(half.bits, page_half, CodeIndex(keys, head_dim, slot, d));
      const int8_t level = half.bits == 8 ? static_cast<int8_t>(code) : half.level[code];
      const size_t at = ScaleIndex(half, head_dim, slot, d);
      const float scale = tensor::F16ToF32(ReadElement<uint16_t>(page_half + layout.scales, at));
      const float offset = half.offset ? tensor::F16ToF32(ReadElement<uint16_t>(page_half + layout.offsets, at)) : 0.0F;
      x[static_cast<size_t>(slot) * head_dim + d] = offset + scale * static_cast<float>(level);
    }
  }
  if (half.outliers == 0) return;
  const std::byte* places = page_half + layout.outliers;
  const auto count = std::min<size_t>(ReadElement<uint16_t>(places, 0), half.outliers);
  for (size_t i = 0; i < count; ++i) {
    const int place = ReadElement<uint16_t>(places, 1 + i);
    const size_t at = static_cast<size_t>(place % kPageTokens) * head_dim + place / kPageTokens;
    x[at] += tensor::F16ToF32(ReadElement<uint16_t>(places, 1 + half.outliers + i));
  }
}

}  // namespace kvasir::kernels
