// Intervals without a model of the noise.
//
// Problem: neighbouring tokens of a text go wrong together, scores are shares of a handful of strings, and neither is
// anything like normal; a standard error over tokens promises too much. Idea: the percentile bootstrap (Efron,
// "Bootstrap Methods: Another Look at the Jackknife", 1979). Draw as many units as there are, with replacement, take
// the statistic of the draw, repeat; the middle 95 % of the results is the interval. The unit is what is independent of
// the others: a chunk of text for divergence and perplexity, a sample for retrieval tasks, never a token.
//
// What it cannot do: with few units the interval is too narrow. Of means of normal draws it covers 94 % with fifty
// units, 90 % with ten and 80 % with four; and units that all agree give an interval of width zero. More chunks or
// samples are the only cure.
#include "eval/bootstrap.h"

#include <algorithm>

#include "eval/dice.h"

namespace kvasir::eval {
namespace {

constexpr double kTail = 0.025;

double ResampledMean(std::span<const double> values, Dice& dice) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += values[dice.Below(values.size())];
  return sum / static_cast<double>(values.size());
}

}  // namespace

std::optional<Interval> BootstrapMeanOfMeans(const std::vector<std::vector<double>>& groups, uint64_t seed) {
  const auto too_small = [](const std::vector<double>& group) { return group.size() < 2; };
  if (groups.empty() || std::any_of(groups.begin(), groups.end(), too_small)) return std::nullopt;
  Dice dice = Dice::For(seed, "bootstrap", 0);
  std::vector<double> means(kBootstrapResamples);
  for (double& mean : means) {
    for (const std::vector<double>& group : groups) mean += ResampledMean(group, dice);
    mean /= static_cast<double>(groups.size());
  }
  std::sort(means.begin(), means.end());
  const auto cut = static_cast<size_t>(kTail * kBootstrapResamples);
  return Interval{.low = means[cut], .high = means[means.size() - 1 - cut]};
}

std::optional<Interval> BootstrapMean(std::span<const double> values, uint64_t seed) {
  return BootstrapMeanOfMeans({std::vector<double>(values.begin(), values.end())}, seed);
}

}  // namespace kvasir::eval
