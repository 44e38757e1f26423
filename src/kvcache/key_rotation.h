// Keys with and without their position: the rotation of one model's RoPE, for pages of 64 keys.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/compact_page.h"

namespace kvasir::kvcache {

/// A rotation of keys by their position, as the model does it.
struct KeyRope {
  std::vector<double> frequencies;  ///< [n_rot/2] radians per position.
  float magnitude = 1;              ///< What rotated features are multiplied with as well (YaRN).
  bool neox = false;                ///< Pairs (i, i + n_rot/2); else (2i, 2i + 1).
};

/// Tables for sequences up to some length. Immutable; thread-safe.
///
/// Turned back, a key stands as it was before RoPE, the two features of pair i at 2i and 2i + 1; pairs that hardly turn
/// within a page only as if it stood in the middle of its page (kernels::CompactRope).
class KeyRotation {
 public:
  KeyRotation(KeyRope rope, int context_tokens);
  // Kernels hold pointers into the tables.
  KeyRotation(const KeyRotation&) = delete;
  KeyRotation& operator=(const KeyRotation&) = delete;

  /// For the kernels; valid as long as this.
  [[nodiscard]] kernels::CompactRope ForKernels() const;
  /// The keys [64][D] of the page of positions `first_position`..., turned back into `turned`. `first_position` is a
  /// multiple of 64.
  void TurnBack(int32_t first_position, int head_dim, std::span<const float> keys, std::span<float> turned) const;
  /// The reverse.
  void Turn(int32_t first_position, int head_dim, std::span<const float> turned, std::span<float> keys) const;
  /// A query [D] turned back by the middle of the page that begins at `position`, a multiple of 64: what a key there,
  /// turned back, is multiplied with. Keeps the magnitude.
  void TurnBackQuery(int32_t position, std::span<const float> query, std::span<float> turned) const;

 private:
  struct Pair {
    size_t first, second;
  };
  [[nodiscard]] Pair PairAt(size_t i) const;
  [[nodiscard]] size_t pairs() const { return rope_.frequencies.size(); }

  KeyRope rope_;
  size_t turned_pairs_ = 0;                 // pairs before RoPE; those behind them stand still within a page
  std::vector<float> slot_cos_, slot_sin_;  // [pairs][64], times the magnitude
  std::vector<float> page_cos_, page_sin_;  // [pages][pairs]
};

}  // namespace kvasir::kvcache
