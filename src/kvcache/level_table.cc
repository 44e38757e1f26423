#include "kvcache/level_table.h"

#include "base/check.h"

namespace kvasir::kvcache {
namespace {

constexpr int kTokens = kernels::kPageTokens;
constexpr int kLargestByte = 127;

}  // namespace

LevelTable::LevelTable(const kernels::CompactHalf& half) {
  if (half.bits == 8) {
    first_code_ = static_cast<uint8_t>(-kLargestByte);
    for (int level = -kLargestByte; level <= kLargestByte; ++level) levels_.push_back(static_cast<float>(level));
  } else {
    KV_CHECK(half.bits <= 5);
    for (int code = 0; code < 1 << half.bits; ++code) levels_.push_back(static_cast<float>(half.level[code]));
  }
  step_ = levels_[1] - levels_[0];
  even_ = true;
  for (size_t i = 1; i < levels_.size(); ++i) {
    KV_CHECK(levels_[i - 1] < levels_[i]);
    middles_.push_back((levels_[i - 1] + levels_[i]) / 2);
    even_ = even_ && levels_[i] - levels_[i - 1] == step_;
  }
}

void LevelTable::Round(const float* position, uint8_t* code, float* level) const {
  // Written so that the compiler turns each loop over the tokens into vector code: the number of turns is known, and
  // comparisons select instead of branching. They are false for a NaN, which so ends at the lowest level.
  if (even_) {
    const float last = static_cast<float>(levels_.size() - 1);
    const float per_step = 1 / step_;
    int32_t index[kTokens];
    for (int t = 0; t < kTokens; ++t) {
      float at = (position[t] - levels_[0]) * per_step;
      at = at > 0 ? at : 0;
      at = at < last ? at : last;
      index[t] = static_cast<int32_t>(at + 0.5F);  // NOLINT(bugprone-incorrect-roundings): small, not negative, fast
    }
    for (int t = 0; t < kTokens; ++t) level[t] = levels_[0] + step_ * static_cast<float>(index[t]);
    for (int t = 0; t < kTokens; ++t) code[t] = static_cast<uint8_t>(index[t] + first_code_);
    return;
  }
  int32_t index[kTokens] = {};
  for (const float middle : middles_) {
    for (int t = 0; t < kTokens; ++t) index[t] += position[t] > middle ? 1 : 0;
  }
  for (int t = 0; t < kTokens; ++t) {
    level[t] = levels_[static_cast<size_t>(index[t])];
    code[t] = static_cast<uint8_t>(index[t] + first_code_);
  }
}

}  // namespace kvasir::kvcache
