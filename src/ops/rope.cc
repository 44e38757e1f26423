#include "ops/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace kvasir::ops {

std::vector<double> BaseFrequencies(int n_rot, double base) {
  std::vector<double> frequencies(static_cast<size_t>(n_rot) / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = std::pow(base, -2.0 * static_cast<double>(i) / n_rot);
  }
  return frequencies;
}

namespace {

// The pair index whose feature turns `turns` times within `context` positions.
double PairOfTurns(double turns, int n_rot, double base, double context) {
  return n_rot * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(base));
}

}  // namespace

RopeSpec YarnRope(int n_rot, double base, const YarnOptions& options) {
  RopeSpec spec;
  spec.frequencies = BaseFrequencies(n_rot, base);
  const double low = std::max(0.0, std::floor(PairOfTurns(options.beta_fast, n_rot, base, options.original_context)));
  const double high =
      std::min(n_rot - 1.0, std::ceil(PairOfTurns(options.beta_slow, n_rot, base, options.original_context)));
  for (size_t i = 0; i < spec.frequencies.size(); ++i) {
    const double ramp = (static_cast<double>(i) - low) / std::max(0.001, high - low);
    const double keep = (1 - std::clamp(ramp, 0.0, 1.0)) * options.extrapolation;
    spec.frequencies[i] *= keep + (1 - keep) / options.factor;
  }
  spec.magnitude = static_cast<float>(options.attention_factor);
  if (options.extrapolation != 0) spec.magnitude *= static_cast<float>(1 + 0.1 * std::log(options.factor));
  return spec;
}

void RopeTables(const RopeSpec& spec, std::span<const int32_t> positions, float* cos, float* sin) {
  for (const int32_t position : positions) {
    for (const double frequency : spec.frequencies) {
      const double angle = position * frequency;
      *cos++ = static_cast<float>(std::cos(angle)) * spec.magnitude;
      *sin++ = static_cast<float>(std::sin(angle)) * spec.magnitude;
    }
  }
}

}  // namespace kvasir::ops
