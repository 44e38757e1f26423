// The loops that touch the whole vocabulary, written so that a compiler turns them into vector code.
//
// Exponentials are our own rather than the C library's: libm's is a call per element, and its last bit depends on the
// CPU it finds. This one is additions and multiplications of doubles only, so that it vectorises and a seed gives the
// same draws on every machine that has the same logits.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace kvasir::sampling {

inline constexpr float kImpossible = -std::numeric_limits<float>::infinity();

/// Makes a number usable as a logit: NaN and minus infinity become kImpossible, overflow the largest float.
[[nodiscard]] constexpr float CleanLogit(float value) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  const float possible = value > kImpossible ? value : kImpossible;
  return possible < kLargest ? possible : kLargest;
}

/// exp(x) for x <= 0, with a relative error under 1e-15. 0 for x < -700 and for NaN.
///
/// x = n ln 2 + r with |r| <= ln(2) / 2; exp(r) by its Taylor series to r^12 (the rest is under 2e-16); 2^n by writing
/// n into the exponent bits. Adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits.
[[nodiscard]] inline double ExpOfNegative(double x) {
  constexpr double kLowest = -700;
  constexpr double kRound = 0x1.8p52;
  constexpr double kLog2E = 0x1.71547652b82fep0;
  constexpr double kLn2High = 0x1.62e42fefa38p-1;  // 44 bits: n * kLn2High is exact
  constexpr double kLn2Low = 0x1.ef35793c7673p-45;
  const double bounded = x > kLowest ? x : kLowest;
  const double shifted = bounded * kLog2E + kRound;
  const double n = shifted - kRound;
  const double r = (bounded - n * kLn2High) - n * kLn2Low;
  double sum = 1.0 / 479001600;
  sum = sum * r + 1.0 / 39916800;
  sum = sum * r + 1.0 / 3628800;
  sum = sum * r + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  const double power = std::bit_cast<double>((std::bit_cast<uint64_t>(shifted) + 1023) << 52);
  return x > kLowest ? sum * power : 0.0;
}

/// The unnormalised probability of a logit: exp(logit - max), 1 for the greatest, 0 for an impossible one.
[[nodiscard]] inline double Weight(float logit, float max) {
  return ExpOfNegative(double{CleanLogit(logit)} - double{max});
}

/// The sum of the weights of a row, always added up in the same order. `max` is the greatest of the cleaned logits.
[[nodiscard]] double SumOfWeights(std::span<const float> logits, float max);

/// The greatest number of a row; NaN is passed over; kImpossible for an empty row.
[[nodiscard]] float MaxOf(std::span<const float> logits);

/// Calls `f(i)` for each i, ascending, with logits[i] > threshold(), or >= if `or_equal`. The threshold may rise during
/// the walk. Blocks without a hit, nearly all of them, cost a vector comparison.
template <bool or_equal, typename Threshold, typename F>
void ForEachAbove(std::span<const float> logits, Threshold&& threshold, F&& f) {
  constexpr size_t kBlock = 32;
  const auto is_hit = [](float logit, float bound) { return or_equal ? logit >= bound : logit > bound; };
  size_t begin = 0;
  for (; begin + kBlock <= logits.size(); begin += kBlock) {
    const float* block = logits.data() + begin;
    const float bound = threshold();
    int hits = 0;
    for (size_t j = 0; j < kBlock; ++j) {
      hits |= is_hit(block[j], bound) ? 1 : 0;
    }
    if (hits == 0) continue;
    for (size_t j = 0; j < kBlock; ++j) {
      if (is_hit(block[j], threshold())) f(begin + j);
    }
  }
  for (; begin < logits.size(); ++begin) {
    if (is_hit(logits[begin], threshold())) f(begin);
  }
}

}  // namespace kvasir::sampling
