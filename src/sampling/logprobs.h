// The log probabilities that APIs report with a token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::sampling {

/// A token and the natural logarithm of its probability, at most 0; minus infinity for an impossible token.
struct TokenLogprob {
  int32_t id = -1;
  double logprob = 0;
};

/// What a row of logits says about one token.
struct RowLogprobs {
  TokenLogprob chosen;
  /// How many tokens are more likely; those with the same logit and a lower id count. 0 = the greedy choice.
  int32_t rank = 0;
  /// The most likely tokens, most likely first, lower id first on a tie; impossible ones are left out.
  std::vector<TokenLogprob> top;
};

/// ln(sum of exp(logit)) over the row, in double. NaN counts as minus infinity, plus infinity as the largest float;
/// minus infinity for a row without any finite logit.
[[nodiscard]] double LogSumExp(std::span<const float> logits);

/// The log probabilities of the model itself, before any sampling stage. `count` is how many of `top` are wanted. One
/// token has the same bits in `chosen` and in `top`, so that readers may compare them. An error if `chosen` is not in
/// the row, `count` is negative, or the row has no logit above minus infinity. Thread-safe.
[[nodiscard]] Result<RowLogprobs> ComputeLogprobs(std::span<const float> logits, int32_t chosen, int32_t count);

}  // namespace kvasir::sampling
