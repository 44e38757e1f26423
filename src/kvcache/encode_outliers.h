// Which elements of a half are worth being stored exactly.
//
// The problem: an exact element costs 32 bits, as much as 1 % of them adds 0.32 bits to each. Its worth is less its own
// error than that of its group: a range that no longer has to reach it has finer steps for all others. The idea: the
// error of a group is its weight times range^2, so taking away its least or largest number, whichever narrows the range
// more, gains a known amount. A half has a budget, not each vector: the best removal of all groups is taken, again and
// again. Greedy, from the outside in: two far numbers on one side are found only when the first is taken.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/compact_page.h"

namespace kvasir::kvcache {

/// Marks at most half.outliers elements of x [D][64] (features by tokens) by a 1 in the result [D][64]. weight [D] is
/// what a squared error of each feature costs. Elements of groups that are not finite are not chosen.
[[nodiscard]] std::vector<uint8_t> ChooseOutliers(const kernels::CompactHalf& half, int head_dim,
                                                  std::span<const float> x, std::span<const float> weight);

/// For ranges that do not adapt, [low, high] of each feature [D]: marks those at most half.outliers elements outside of
/// them whose squared distance to them, times the weight, is largest.
[[nodiscard]] std::vector<uint8_t> ChooseOutside(const kernels::CompactHalf& half, int head_dim,
                                                 std::span<const float> x, std::span<const float> weight,
                                                 std::span<const float> low, std::span<const float> high);

}  // namespace kvasir::kvcache
