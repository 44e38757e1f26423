// Which half of which layer gets how many bits.
//
// The problem: layers differ. Stored in 2 bits, the keys of one layer may cost more than those of ten others together,
// so the same bits everywhere are wasted on most and too few for some. The idea: measure what each choice costs for
// each half of each layer alone, take the losses as adding up (they nearly do while they are small), and spend the
// budget where it buys the most. That is a knapsack. Lagrange multipliers (Shoham and Gersho, "Efficient bit allocation
// for an arbitrary set of quantizers", IEEE Trans. ASSP 1988) find only its solutions on the convex hull; a model has
// few enough halves to solve it outright, by dynamic programming over the bits spent.
#pragma once

#include <span>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::kvcache {

/// One way to store a half of a layer.
struct StorageChoice {
  double bits = 0;  ///< per element, with scales, offsets and outliers; counted in 128ths, rounded up
  double loss = 0;  ///< what it was measured to cost alone, for example KLD
};

/// For each half, the index of its choice: those of least summed loss whose mean bits are at most `mean_bits`; of equal
/// losses, those of fewer bits. kInvalidArgument if a half has no choice, a number is negative or not finite, bits
/// exceed 32, or even the fewest bits exceed the budget.
[[nodiscard]] Result<std::vector<size_t>> AllocateBits(std::span<const std::vector<StorageChoice>> halves,
                                                       double mean_bits);

}  // namespace kvasir::kvcache
