// The scale and the offset of one group of a compact page.
//
// The problem: a group of 32 or 64 numbers shares a scale and perhaps an offset, and a handful of levels has to cover
// it. Least squares wants the range clipped: a few far numbers are sacrificed so that the many get finer steps. In a
// cache that loses (measured: docs/design/0004-cache-codes.md), probably because the far numbers belong to the few
// tokens that attention will look for, and to shrink them lowers their scores always, where rounding errors raise as
// often as they lower. So ranges cover their group, unless the caller asks for the search: four levels without an
// offset lie far out for rotated values, which are spread like a bell curve.
#pragma once

#include <span>

#include "kvcache/level_table.h"

namespace kvasir::kvcache {

/// How the levels are laid over a group: element = offset + scale * level. Both are numbers that f16 holds.
struct Range {
  float scale = 0;
  float offset = 0;
};

/// How ranges are chosen.
enum class RangeChoice : uint8_t {
  kCover,   ///< from the least to the largest number of the group
  kSearch,  ///< of that range and eight narrower ones, the one with the least weighted squared error
  kStatic,  ///< what the calibration says of the feature, whatever the page holds; without a calibration as kCover
};

/// The range whose outermost levels are `low` and `high`; without `offset`, the smallest symmetric one that has both.
[[nodiscard]] Range RangeBetween(const LevelTable& levels, bool offset, float low, float high);

/// The range that reaches from the least to the largest of `x`; without `offset`, the smallest symmetric one. No
/// numbers, or all equal: scale 0 or as small as needed. A number that is not finite makes the scale NaN, so that who
/// reads the group sees it.
[[nodiscard]] Range CoverRange(const LevelTable& levels, bool offset, std::span<const float> x);

/// The range of least sum of weight * (x - rounded)^2 among CoverRange and eight that are narrower around the same
/// middle; so never worse than CoverRange by this measure. weight has the length of x.
[[nodiscard]] Range SearchRange(const LevelTable& levels, bool offset, std::span<const float> x,
                                std::span<const float> weight);

/// Sum of weight * (x - rounded)^2 of a group of at most 64 numbers.
[[nodiscard]] float RangeError(const LevelTable& levels, const Range& range, std::span<const float> x,
                               std::span<const float> weight);

}  // namespace kvasir::kvcache
