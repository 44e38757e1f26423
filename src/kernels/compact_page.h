// Compact pages: 64 full tokens of one layer and one KV head, encoded once in 2 to 8 bits an element.
//
// The problem: a cache below 8 bits must be read at the speed of its few bytes, and which encoding is best differs from
// model to model and from keys to values. The idea: one scheme for all of them. An element is
//   offset + scale * level[code]
// where `level` is a table of at most 32 signed bytes: evenly spaced for uniform codes, fitted for non-uniform ones
// (KVQuant, arXiv:2401.18079). Scales and offsets belong to a feature over a group of tokens or to a token over a group
// of features (KIVI, arXiv:2402.02750: keys by channel, values by token), and a few elements may be exact. What the
// encoder does to choose all this costs nothing when a page is read: reading is one table look-up that gives the 16-bit
// lanes in which pages of bytes (q8) are multiplied too.
//
// Plain data, included by the files of the instruction sets. compact_codes.h packs and unpacks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace kvasir::kernels {

/// What shares a scale (and an offset).
enum class Grouping : uint8_t {
  kChannels,  ///< one feature over `group` tokens: [64 / group][D]
  kTokens,    ///< one token over `group` features, the last group being shorter where D is no multiple:
              ///< [ceil(D / group)][64]
};

/// How one half, the keys or the values, of a compact page is stored. CheckCompact says what is allowed.
struct CompactHalf {
  uint8_t bits = 4;  // 2, 3, 4, 5; or 8, where the code is a signed byte and stands for itself instead of a level
  Grouping grouping = Grouping::kTokens;
  uint8_t group = 32;        // 32 or 64
  bool offset = false;       // whether there are offsets; without, they are zero
  bool rotated = false;      // blocks of 32 features (a last one of 16) are stored times Sylvester's matrix, as q8 keys
  bool before_rope = false;  // keys only: stored without their position, pair partners as neighbours; see CompactRope
  uint8_t outliers = 0;      // at most so many elements have their difference to what the codes say stored beside them
  int8_t level[32] = {};     // of code 0 .. 2^bits - 1
};

/// The rotation of keys that are stored before RoPE. The key at slot s of the page with the middle b = 64 * page + 32
/// is R(b) R(s - 32) k: a query is turned back by R(b), once per page, and the page's keys are turned by R(s - 32),
/// which is the same for all pages. Stored features 2i and 2i + 1 are the two of pair i, features from n_rot on are not
/// turned.
///
/// The keys of a pair that hardly turns within a page have nearly the same distribution with R(s - 32) as without: they
/// are stored with it, and need not be turned when they are read. Pairs are ordered from the fastest to the slowest.
struct CompactRope {
  int n_rot = 0;                    // even, at most D
  int turned_pairs = 0;             // at most n_rot/2: pairs from there on are stored with R(s - 32)
  bool neox = false;                // how the query has them: pairs (i, i + n_rot/2); else (2i, 2i + 1)
  const float* slot_cos = nullptr;  // [n_rot/2][64] of R(s - 32), times what RoPE multiplies keys with; 1 ...
  const float* slot_sin = nullptr;  // ... and 0 from turned_pairs on
  const float* page_cos = nullptr;  // [page][n_rot/2] of R(b): a pure rotation
  const float* page_sin = nullptr;
};

/// A compact page: the keys' half, then the values'. Where keys are stored before RoPE, a page's first position is a
/// multiple of 64.
struct CompactFormat {
  CompactHalf key;
  CompactHalf value;
  CompactRope rope;
};

inline constexpr size_t kHalfAlignment = 64;  // halves are padded to it, so that no load of codes crosses a line
inline constexpr int kCompactChunk = 512;     // codes that are packed together; see below

/// Where the parts of a half begin, in bytes. Codes are first.
///
/// Codes take the order of q8 pages: keys [D/2][64][2] (two features), values [32][D][2] (two tokens). 512 of them are
/// 16 vectors of 32, packed by lane: of a plane of b bits, 16-bit word w of packed vector n holds lane w of vectors
/// n * 16/b + j at bit b * j, j = 0 .. 16/b - 1. 2 and 4 bits are one plane; 3 and 5 bits a plane of the 2 or 4 lower
/// bits, then one of the upper bit; 8 bits are bytes in order.
/// Then f16 scales, f16 offsets, u16 number of outliers, u16 place = feature * 64 + slot of each, f16 difference of
/// each.
struct HalfLayout {
  size_t scales, offsets, outliers, bytes;
};
[[gnu::always_inline]] constexpr int GroupsOf(const CompactHalf& half, int head_dim) {
  return half.grouping == Grouping::kChannels ? kPageTokens / half.group : (head_dim + half.group - 1) / half.group;
}
[[gnu::always_inline]] constexpr size_t ScalesOf(const CompactHalf& half, int head_dim) {
  const int each = half.grouping == Grouping::kChannels ? head_dim : kPageTokens;
  return static_cast<size_t>(GroupsOf(half, head_dim)) * static_cast<size_t>(each);
}
[[gnu::always_inline]] constexpr HalfLayout LayoutOf(const CompactHalf& half, int head_dim) {
  const size_t scales = static_cast<size_t>(kPageTokens) * static_cast<size_t>(head_dim) * half.bits / 8;
  const size_t offsets = scales + 2 * ScalesOf(half, head_dim);
  const size_t outliers = offsets + (half.offset ? 2 * ScalesOf(half, head_dim) : 0);
  const size_t end = outliers + (half.outliers == 0 ? 0 : 2 + size_t{4} * half.outliers);
  return {scales, offsets, outliers, (end + kHalfAlignment - 1) / kHalfAlignment * kHalfAlignment};
}

/// Bytes of a half of a page.
constexpr size_t HalfBytes(const CompactHalf& half, int head_dim) {
  return LayoutOf(half, head_dim).bytes;
}
/// Bytes of a page.
constexpr size_t PageBytes(const CompactFormat& format, int head_dim) {
  return HalfBytes(format.key, head_dim) + HalfBytes(format.value, head_dim);
}

/// Level of `code` where levels are evenly spaced around zero.
constexpr int8_t UniformLevel(int bits, int code) {
  const int step = bits == 2 ? 84 : bits == 3 ? 36 : bits == 4 ? 16 : 8;
  return static_cast<int8_t>((2 * code - (1 << bits) + 1) * (step / 2));
}

}  // namespace kvasir::kernels
