#include "kvcache/encode_outliers.h"

#include <algorithm>
#include <cmath>
#include <queue>

#include "kvcache/half_groups.h"

namespace kvasir::kvcache {
namespace {

constexpr size_t kTokens = kernels::kPageTokens;

// Taking one element of a group away.
struct Removal {
  float gain = 0;
  size_t group = 0;
  size_t element = 0;

  // The larger gain first; of equal ones the earlier element, so that results do not depend on the queue.
  bool operator<(const Removal& other) const {
    return gain != other.gain ? gain < other.gain : element > other.element;
  }
};

// The two least and the two largest remaining elements of a group.
struct Extremes {
  float low = HUGE_VALF, next_low = HUGE_VALF, high = -HUGE_VALF, next_high = -HUGE_VALF;
  size_t low_at = 0, high_at = 0;
  float weight = 0;
  int count = 0;
  bool finite = true;

  void Add(float value, size_t at, float element_weight) {
    if (value < low) {
      next_low = low;
      low = value;
      low_at = at;
    } else {
      next_low = std::min(next_low, value);
    }
    if (value > high) {
      next_high = high;
      high = value;
      high_at = at;
    } else {
      next_high = std::max(next_high, value);
    }
    weight += element_weight;
    count += 1;
    finite = finite && std::isfinite(value);
  }
};

Extremes Look(const HalfGroup& group, std::span<const float> x, std::span<const float> weight,
              const std::vector<uint8_t>& taken) {
  Extremes extremes;
  for (int i = 0; i < group.size; ++i) {
    const size_t at = group.first + static_cast<size_t>(i) * group.stride;
    if (taken[at] == 0) extremes.Add(x[at], at, weight[at / kTokens]);
  }
  return extremes;
}

// The better of the two removals, from the outside in.
Removal Best(const Extremes& e, bool offset, size_t group, std::span<const float> weight) {
  const auto width = [&](float low, float high) { return offset ? high - low : 2 * std::max(high, -low); };
  const float before = width(e.low, e.high);
  const float without_low = width(e.next_low, e.high);
  const float without_high = width(e.low, e.next_high);
  const bool low = without_low < without_high;
  const float after = low ? without_low : without_high;
  const size_t element = low ? e.low_at : e.high_at;
  const float own = weight[element / kTokens];
  // All others get finer steps, the element itself is free of error.
  return {.gain = (e.weight - own) * (before * before - after * after) + own * before * before,
          .group = group,
          .element = element};
}

}  // namespace

std::vector<uint8_t> ChooseOutliers(const kernels::CompactHalf& half, int head_dim, std::span<const float> x,
                                    std::span<const float> weight) {
  std::vector<uint8_t> taken(static_cast<size_t>(head_dim) * kTokens, 0);
  if (half.outliers == 0) return taken;
  std::priority_queue<Removal> removals;
  const auto push = [&](size_t index) {
    const Extremes extremes = Look(GroupAt(half, head_dim, index), x, weight, taken);
    if (extremes.count < 3 || !extremes.finite) return;
    const Removal removal = Best(extremes, half.offset, index, weight);
    if (removal.gain > 0) removals.push(removal);
  };
  for (size_t index = 0; index < kernels::ScalesOf(half, head_dim); ++index) push(index);
  for (int i = 0; i < half.outliers && !removals.empty(); ++i) {
    const Removal removal = removals.top();
    removals.pop();
    taken[removal.element] = 1;
    push(removal.group);
  }
  return taken;
}

std::vector<uint8_t> ChooseOutside(const kernels::CompactHalf& half, int head_dim, std::span<const float> x,
                                   std::span<const float> weight, std::span<const float> low,
                                   std::span<const float> high) {
  std::vector<uint8_t> taken(static_cast<size_t>(head_dim) * kTokens, 0);
  std::vector<Removal> outside;
  for (size_t at = 0; at < taken.size(); ++at) {
    const size_t feature = at / kTokens;
    const float beyond = std::max(x[at] - high[feature], low[feature] - x[at]);
    if (beyond > 0 && std::isfinite(beyond)) {
      outside.push_back({.gain = weight[feature] * beyond * beyond, .group = feature, .element = at});
    }
  }
  const auto count = static_cast<std::ptrdiff_t>(std::min<size_t>(half.outliers, outside.size()));
  std::ranges::partial_sort(outside, outside.begin() + count, [](const auto& a, const auto& b) { return b < a; });
  for (const Removal& removal : std::span(outside).first(static_cast<size_t>(count))) taken[removal.element] = 1;
  return taken;
}

}  // namespace kvasir::kvcache
