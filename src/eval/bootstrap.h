// How far a measured mean could be off, had other chunks or samples been drawn.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kvasir/eval.h"

namespace kvasir::eval {

/// The 95 % percentile bootstrap interval of the mean of `values`, from kBootstrapResamples resamples. None for fewer
/// than two values, which say nothing about their spread. Deterministic by `seed`.
[[nodiscard]] std::optional<Interval> BootstrapMean(std::span<const double> values, uint64_t seed);

/// The same for the mean of the groups' means, each group resampled by itself; none where a group has fewer than two.
[[nodiscard]] std::optional<Interval> BootstrapMeanOfMeans(const std::vector<std::vector<double>>& groups,
                                                           uint64_t seed);

}  // namespace kvasir::eval
