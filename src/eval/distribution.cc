#include "eval/distribution.h"

#include <algorithm>
#include <cmath>

namespace kvasir::eval {
namespace {

constexpr double kSmallestLogProbability = -16;

}  // namespace

double LogSumExp(std::span<const float> logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return max + std::log(sum);
}

double NegativeLogLikelihood(std::span<const float> logits, int32_t token) {
  return LogSumExp(logits) - logits[static_cast<size_t>(token)];
}

double Divergence(std::span<const float> p_logits, std::span<const float> q_logits) {
  return Divergence(p_logits, LogSumExp(p_logits), q_logits, LogSumExp(q_logits));
}

double Divergence(std::span<const float> p_logits, double p_norm, std::span<const float> q_logits, double q_norm) {
  double divergence = 0;
  for (size_t i = 0; i < p_logits.size(); ++i) {
    const double log_p = p_logits[i] - p_norm;
    if (log_p < kSmallestLogProbability) continue;
    divergence += std::exp(log_p) * (log_p - (q_logits[i] - q_norm));
  }
  return divergence;
}

int32_t TopToken(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double Median(std::span<const double> values) {
  if (values.empty()) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  return (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
}

double Sample::Mean() const {
  if (values_.empty()) return 0;
  double sum = 0;
  for (const double value : values_) sum += value;
  return sum / static_cast<double>(values_.size());
}

double Sample::Quantile(double q) const {
  if (values_.empty()) return 0;
  std::vector<double> sorted = values_;
  const auto index = static_cast<ptrdiff_t>(std::lround(q * static_cast<double>(sorted.size() - 1)));
  std::nth_element(sorted.begin(), sorted.begin() + index, sorted.end());
  return sorted[static_cast<size_t>(index)];
}

double Sample::StandardError() const {
  if (values_.size() < 2) return 0;
  const double mean = Mean();
  double squares = 0;
  for (const double value : values_) squares += (value - mean) * (value - mean);
  const auto n = static_cast<double>(values_.size());
  return std::sqrt(squares / (n - 1) / n);
}

}  // namespace kvasir::eval
