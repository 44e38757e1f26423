#include "kvcache/encode_range.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/compact_codes.h"

namespace kvasir::kvcache {
namespace {

using kernels::StoredNumber;

constexpr int kNarrowerRanges = 8;
constexpr float kNarrowest = 0.4F;  // of the covering range: with four levels the best of a bell curve is near one half

Range Stored(float scale, float offset) {
  return {.scale = StoredNumber(scale), .offset = StoredNumber(offset)};
}

}  // namespace

Range RangeBetween(const LevelTable& levels, bool offset, float low, float high) {
  if (!offset) return Stored(std::max({high / levels.highest(), low / levels.lowest(), 0.0F}), 0);
  // Halves, because the difference of two large numbers need not be finite.
  const float scale = (high / 2 - low / 2) / (levels.highest() / 2 - levels.lowest() / 2);
  const float middle = high / 2 + low / 2;
  return Stored(scale, middle - scale * (levels.highest() + levels.lowest()) / 2);
}

Range CoverRange(const LevelTable& levels, bool offset, std::span<const float> x) {
  if (x.empty()) return {};
  float low = x[0];
  float high = x[0];
  float finite = 0;  // stays 0 unless a number is not finite: then NaN
  for (const float value : x) {
    low = std::min(low, value);
    high = std::max(high, value);
    finite += value * 0;
  }
  if (finite != 0) return {.scale = std::numeric_limits<float>::quiet_NaN(), .offset = 0};
  return RangeBetween(levels, offset, low, high);
}

float RangeError(const LevelTable& levels, const Range& range, std::span<const float> x,
                 std::span<const float> weight) {
  KV_CHECK(x.size() <= kernels::kPageTokens && weight.size() == x.size());
  const float per_scale = range.scale > 0 ? 1 / range.scale : 0;
  float position[kernels::kPageTokens] = {};  // a whole row, whatever the length: Round is fast because it knows it
  uint8_t code[kernels::kPageTokens];
  float level[kernels::kPageTokens];
  for (size_t i = 0; i < x.size(); ++i) position[i] = (x[i] - range.offset) * per_scale;
  levels.Round(position, code, level);
  float sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const float error = x[i] - range.offset - range.scale * level[i];
    sum += weight[i] * error * error;
  }
  return sum;
}

Range SearchRange(const LevelTable& levels, bool offset, std::span<const float> x, std::span<const float> weight) {
  const Range cover = CoverRange(levels, offset, x);
  if (!(cover.scale > 0)) return cover;
  const float middle_level = (levels.highest() + levels.lowest()) / 2;
  const float middle = cover.offset + cover.scale * middle_level;
  Range best = cover;
  float least = RangeError(levels, cover, x, weight);
  for (int i = 1; i <= kNarrowerRanges; ++i) {
    const float scale = cover.scale * (1 - (1 - kNarrowest) * static_cast<float>(i) / kNarrowerRanges);
    const Range range = offset ? Stored(scale, middle - scale * middle_level) : Stored(scale, 0);
    if (const float error = RangeError(levels, range, x, weight); error < least) {
      least = error;
      best = range;
    }
  }
  return best;
}

}  // namespace kvasir::kvcache
