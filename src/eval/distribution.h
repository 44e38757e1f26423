// What two rows of logits say about each other, in double precision.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvasir::eval {

/// ln(sum(exp(logits))).
[[nodiscard]] double LogSumExp(std::span<const float> logits);

/// -ln p(token), natural log.
[[nodiscard]] double NegativeLogLikelihood(std::span<const float> logits, int32_t token);

/// The Kullback-Leibler divergence sum p (ln p - ln q) of q from p, over tokens whose p is at least e^-16 (the rest is
/// below the resolution of the f16 logits that references are stored in). Never negative beyond rounding.
[[nodiscard]] double Divergence(std::span<const float> p_logits, std::span<const float> q_logits);
/// The same, with the LogSumExp of both.
[[nodiscard]] double Divergence(std::span<const float> p_logits, double p_norm, std::span<const float> q_logits,
                                double q_norm);

/// The most likely token, the lowest on ties.
[[nodiscard]] int32_t TopToken(std::span<const float> logits);

/// The middle one of `values` by size, or the mean of the two in the middle; 0 where there are none.
[[nodiscard]] double Median(std::span<const double> values);

/// A sample of values, for means and quantiles.
class Sample {
 public:
  void Add(double value) { values_.push_back(value); }
  [[nodiscard]] size_t size() const { return values_.size(); }
  [[nodiscard]] double Mean() const;
  /// The value below which a share `q` (0..1) of the sample lies; 0 for an empty one.
  [[nodiscard]] double Quantile(double q) const;
  /// The standard error of the mean.
  [[nodiscard]] double StandardError() const;

 private:
  std::vector<double> values_;
};

}  // namespace kvasir::eval
