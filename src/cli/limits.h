// What an answer could cost at least on this machine.
#pragma once

#include <cstdint>
#include <vector>

#include "kvasir/inspect.h"

namespace kvasir::cli {

/// What one token costs in a model.
struct TokenCost {
  double weight_bytes = 0;   ///< Read once per pass over the layers, however many tokens take part.
  double multiply_adds = 0;  ///< With weights of the layers; attention and the head are left out.
  bool exact = false;        ///< f32 arithmetic (--compute exact), so f32 multiply-adds are the limit, not int8.
};

/// Multiply-adds per token: the elements of the matrices of all layers ("blk.*").
[[nodiscard]] double MultiplyAdds(const std::vector<TensorEntry>& tensors);

/// The most tokens/s that a prompt of `tokens` can reach: its multiply-adds at the measured peak, or the weights read
/// once at the measured bandwidth, whichever takes longer. 0 if nothing was measured or computed.
[[nodiscard]] double PromptLimit(const MachineLimits& limits, const TokenCost& cost, int tokens);

/// The most tokens/s that generation can reach: each token reads all weights and, on average, `kv_bytes` of the cache.
[[nodiscard]] double DecodeLimit(const MachineLimits& limits, const TokenCost& cost, double kv_bytes);

/// 100 * rate / limit; 0 where the limit is not known.
[[nodiscard]] double PercentOf(double rate, double limit);

}  // namespace kvasir::cli
