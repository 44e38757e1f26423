// Rotary position embedding: which angle each pair of features turns by, and the scaling schemes for long contexts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvasir::ops {

/// A rotation, complete: for a token at position p the i-th pair turns by p * frequencies[i], and cosine and sine are
/// multiplied by `magnitude`.
struct RopeSpec {
  std::vector<double> frequencies;  // [n_rot/2]
  float magnitude = 1.0F;
  bool neox = false;  // pairs (i, i + n_rot/2); else (2i, 2i + 1)

  [[nodiscard]] int n_rot() const { return 2 * static_cast<int>(frequencies.size()); }
};

/// base^(-2i/n_rot), i < n_rot/2: no scaling.
[[nodiscard]] std::vector<double> BaseFrequencies(int n_rot, double base);

/// YaRN (arXiv:2309.00071): high frequencies stay, low ones are divided by `factor`, with a ramp between the dimensions
/// that turn `beta_fast` and `beta_slow` times within the original context.
struct YarnOptions {
  double factor = 1;
  double original_context = 0;
  double extrapolation = 1;  ///< "ext_factor": 0 leaves plain interpolation.
  double attention_factor = 1;
  double beta_fast = 32;
  double beta_slow = 1;
};
[[nodiscard]] RopeSpec YarnRope(int n_rot, double base, const YarnOptions& options);

/// Cosines and sines for `positions` [B]: two arrays [B, n_rot/2], angles computed in double precision.
void RopeTables(const RopeSpec& spec, std::span<const int32_t> positions, float* cos, float* sin);

}  // namespace kvasir::ops
