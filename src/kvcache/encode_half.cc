#include "kvcache/encode_half.h"

#include <algorithm>
#include <cmath>

namespace kvasir::kvcache {

using kernels::CompactHalf;
using kernels::Grouping;
using kernels::kPageTokens;

void EncodeHalf(const CompactHalf& half, int head_dim, const HalfCalibration* /*calibration*/, const float* x,
                kernels::HalfCodes* out) {
  const auto d = static_cast<size_t>(head_dim);
  const bool channels = half.grouping == Grouping::kChannels;
  const auto group = static_cast<size_t>(half.group);
  out->codes.assign(kPageTokens * d, 0);
  out->outliers.clear();
  out->scales.assign(kernels::ScalesOf(half, head_dim), 0);
  out->offsets.assign(half.offset ? out->scales.size() : 0, 0);
  const int levels = half.bits == 8 ? 255 : 1 << half.bits;
  const auto level = [&](int code) { return half.bits == 8 ? code - 127 : half.level[code]; };
  const int low_level = level(0);
  const int high_level = level(levels - 1);
  for (size_t g = 0; g < out->scales.size(); ++g) {
    const size_t unit = channels ? g % d : g % kPageTokens;  // the feature, or the token
    const size_t part = channels ? g / d : g / kPageTokens;
    const size_t begin = part * group;
    const size_t end = std::min(begin + group, channels ? size_t{kPageTokens} : d);
    const auto at = [&](size_t i) { return channels ? i * d + unit : unit * d + i; };
    float low = x[at(begin)];
    float high = low;
    for (size_t i = begin; i < end; ++i) {
      low = std::min(low, x[at(i)]);
      high = std::max(high, x[at(i)]);
    }
    float scale, offset = 0;
    if (half.offset) {
      scale = kernels::StoredNumber((high - low) / static_cast<float>(high_level - low_level));
      offset = kernels::StoredNumber(low - scale * static_cast<float>(low_level));
      out->offsets[g] = offset;
    } else {
      scale = kernels::StoredNumber(std::max(std::abs(low), std::abs(high)) / static_cast<float>(high_level));
    }
    out->scales[g] = scale;
    for (size_t i = begin; i < end; ++i) {
      const float y = scale == 0 ? 0 : (x[at(i)] - offset) / scale;
      int best = 0;
      if (half.bits == 8) {
        best = static_cast<uint8_t>(static_cast<int8_t>(std::clamp(std::lround(y), -127L, 127L)));
      } else {
        for (int code = 1; code < levels; ++code) {
          if (std::abs(y - static_cast<float>(half.level[code])) < std::abs(y - static_cast<float>(half.level[best])))
            best = code;
        }
      }
      out->codes[at(i)] = static_cast<uint8_t>(best);
    }
  }
}

}  // namespace kvasir::kvcache
