// The levels that the codes of a compact page stand for, ready for rounding many numbers to the nearest one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/compact_page.h"

namespace kvasir::kvcache {

/// The levels of one half, in increasing order. Immutable after construction, so threads may share it.
class LevelTable {
 public:
  /// The levels of `half`, or, with 8 bits, the whole numbers -127 .. 127, where a code is a signed byte's bits.
  /// Levels must increase from code to code.
  explicit LevelTable(const kernels::CompactHalf& half);

  [[nodiscard]] float lowest() const { return levels_.front(); }
  [[nodiscard]] float highest() const { return levels_.back(); }

  /// Codes and levels nearest to position[0 .. kPageTokens-1]; halfway, either. A position that is not a number gets
  /// the lowest level. Vectorised: one feature of all tokens of a page.
  void Round(const float* position, uint8_t* code, float* level) const;

 private:
  bool even_ = false;           // evenly spaced: the index follows by arithmetic
  float step_ = 1;              // between levels, where even
  uint8_t first_code_ = 0;      // code of levels_[0]
  std::vector<float> levels_;   // increasing
  std::vector<float> middles_;  // between neighbours
};

}  // namespace kvasir::kvcache
