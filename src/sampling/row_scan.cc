#include "sampling/row_scan.h"

#include <algorithm>
#include <array>

namespace kvasir::sampling {
namespace {

constexpr size_t kLanes = 8;

}  // namespace

double SumOfWeights(std::span<const float> logits, float max) {
  std::array<double, kLanes> sums{};
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += Weight(logits[i + lane], max);
    }
  }
  for (; i < logits.size(); ++i) {
    sums[i % kLanes] += Weight(logits[i], max);
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

float MaxOf(std::span<const float> logits) {
  std::array<float, kLanes> best;
  best.fill(kImpossible);
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      best[lane] = logits[i + lane] > best[lane] ? logits[i + lane] : best[lane];
    }
  }
  for (; i < logits.size(); ++i) {
    best[0] = logits[i] > best[0] ? logits[i] : best[0];
  }
  return *std::ranges::max_element(best);
}

}  // namespace kvasir::sampling
