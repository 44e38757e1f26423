#include "kvcache/encode_half.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/check.h"
#include "kvcache/block_rotation.h"
#include "kvcache/encode_outliers.h"
#include "kvcache/half_groups.h"
#include "kvcache/level_table.h"

namespace kvasir::kvcache {
namespace {

using kernels::CompactHalf;
using kernels::Grouping;
using kernels::HalfCodes;
using kernels::StoredNumber;

constexpr int kTokens = kernels::kPageTokens;
constexpr size_t kRow = kernels::kPageTokens;
constexpr int kMaxHeadDim = 512;
constexpr size_t kErrorsAtOnce = 4;

// The work on one half. Features by tokens everywhere: loops run over the 64 tokens, which are independent.
class Encoding {
 public:
  Encoding(const CompactHalf& half, int head_dim, const HalfCalibration* calibration, const float* x, HalfCodes* out)
      : half_(half), head_dim_(head_dim), calibration_(calibration), out_(*out), levels_(half) {
    KV_CHECK(head_dim > 0 && head_dim <= kMaxHeadDim);
    const size_t features = static_cast<size_t>(head_dim);
    if (calibration != nullptr && !calibration->weight.empty()) {
      KV_CHECK(calibration->weight.size() == features);
      weight_ = calibration->weight;
    } else {
      weight_.assign(features, 1);
    }
    x_.resize(features * kRow);
    for (size_t t = 0; t < kRow; ++t) {
      for (size_t d = 0; d < features; ++d) x_[d * kRow + t] = x[t * features + d];
    }
    if (half.rotated) RotateBlocks<kTokens>(head_dim, x_.data());
    out_.codes.assign(features * kRow, 0);
    out_.scales.assign(kernels::ScalesOf(half, head_dim), 0);
    out_.offsets.assign(half.offset ? out_.scales.size() : 0, 0);
    out_.outliers.clear();
  }

  void ChooseExact(RangeChoice choice) {
    exact_ = IsStatic(choice) ? ChooseOutside(half_, head_dim_, x_, weight_, calibration_->low, calibration_->high)
                              : ChooseOutliers(half_, head_dim_, x_, weight_);
  }

  void ChooseRanges(RangeChoice choice) {
    float x[kTokens];
    float weight[kTokens];
    for (size_t index = 0; index < out_.scales.size(); ++index) {
      const HalfGroup group = GroupAt(half_, head_dim_, index);
      size_t count = 0;
      for (int i = 0; i < group.size; ++i) {
        const size_t at = group.first + static_cast<size_t>(i) * group.stride;
        if (exact_[at] != 0) continue;
        x[count] = x_[at];
        weight[count++] = weight_[at / kRow];
      }
      Range range = choice == RangeChoice::kSearch ? SearchRange(levels_, half_.offset, {x, count}, {weight, count})
                                                   : CoverRange(levels_, half_.offset, {x, count});
      if (IsStatic(choice) && !std::isnan(range.scale)) {
        const size_t feature = index % static_cast<size_t>(head_dim_);
        range = RangeBetween(levels_, half_.offset, calibration_->low[feature], calibration_->high[feature]);
      }
      out_.scales[index] = range.scale;
      if (half_.offset) out_.offsets[index] = range.offset;
    }
  }

  void Round() {
    const bool feedback = calibration_ != nullptr && !calibration_->feedback.empty();
    if (!feedback) {
      for (int d = 0; d < head_dim_; ++d) RoundFeature(d, &x_[static_cast<size_t>(d) * kRow], nullptr);
      return;
    }
    const size_t features = static_cast<size_t>(head_dim_);
    KV_CHECK(calibration_->order.size() == features && calibration_->feedback.size() == features * features);
    // In the order of rounding, with room for the last step of the sum below.
    std::vector<float> errors((features + kErrorsAtOnce) * kRow, 0);
    float target[kTokens];
    for (size_t k = 0; k < features; ++k) {
      const int d = calibration_->order[k];
      KV_CHECK(d < head_dim_);
      std::copy_n(&x_[static_cast<size_t>(d) * kRow], kTokens, target);
      float row[kMaxHeadDim + kErrorsAtOnce] = {};
      std::copy_n(&calibration_->feedback[k * features], k, row);
      // Four errors at a time, so that the target is loaded and stored a quarter as often; those from k on are zero.
      for (size_t i = 0; i < k; i += kErrorsAtOnce) {
        const float* error = &errors[i * kRow];
        for (size_t t = 0; t < kRow; ++t) {
          target[t] -= (row[i] * error[t] + row[i + 1] * error[kRow + t]) +
                       (row[i + 2] * error[2 * kRow + t] + row[i + 3] * error[3 * kRow + t]);
        }
      }
      RoundFeature(d, target, &errors[k * kRow]);
    }
  }

  // Gives what the codes stand for the mean and the spread that x has.
  void Normalise() {
    Spread before, after;
    for (int d = 0; d < head_dim_; ++d) {
      float scale[kTokens];
      float offset[kTokens];
      RangesOf(d, scale, offset);
      for (int t = 0; t < kTokens; ++t) {
        const size_t at = static_cast<size_t>(d) * kRow + static_cast<size_t>(t);
        if (exact_[at] != 0 || !(scale[t] > 0)) continue;
        before.Add(double{(x_[at] - offset[t]) / scale[t]});
        after.Add(double{LevelOf(d, t)});
      }
    }
    const double wider = before.Deviation(half_.offset) / after.Deviation(half_.offset);
    if (!std::isfinite(wider) || wider == 0) return;
    const double moved = half_.offset ? before.Mean() - after.Mean() * wider : 0;
    for (size_t i = 0; i < out_.scales.size(); ++i) {
      const double scale = double{out_.scales[i]};
      if (half_.offset) out_.offsets[i] = StoredNumber(static_cast<float>(double{out_.offsets[i]} + moved * scale));
      out_.scales[i] = StoredNumber(static_cast<float>(wider * scale));
    }
    for (kernels::Outlier& outlier : out_.outliers) {
      float scale[kTokens];
      float offset[kTokens];
      RangesOf(outlier.feature, scale, offset);
      const float stored = offset[outlier.slot] + scale[outlier.slot] * LevelOf(outlier.feature, outlier.slot);
      outlier.difference = StoredNumber(x_[outlier.feature * kRow + outlier.slot] - stored);
    }
  }

 private:
  // Mean and standard deviation of what was added.
  struct Spread {
    double count = 0, sum = 0, squares = 0;

    void Add(double x) {
      count += 1;
      sum += x;
      squares += x * x;
    }
    [[nodiscard]] double Mean() const { return sum / count; }
    // Around the mean, or else around zero.
    [[nodiscard]] double Deviation(bool around_mean) const {
      return std::sqrt(squares / count - (around_mean ? Mean() * Mean() : 0));
    }
  };

  bool IsStatic(RangeChoice choice) const {
    return choice == RangeChoice::kStatic && half_.grouping == Grouping::kChannels && calibration_ != nullptr &&
           !calibration_->low.empty();
  }

  float LevelOf(int d, int t) const {
    const uint8_t code = out_.codes[static_cast<size_t>(t * head_dim_ + d)];
    return half_.bits == 8 ? static_cast<float>(static_cast<int8_t>(code)) : static_cast<float>(half_.level[code]);
  }

  // Rounds feature d of all tokens towards `target`; `error`, unless null, gets what is stored less x.
  void RoundFeature(int d, const float* target, float* error) {
    float scale[kTokens];
    float offset[kTokens];
    RangesOf(d, scale, offset);
    float position[kTokens];
    for (int t = 0; t < kTokens; ++t) position[t] = scale[t] > 0 ? (target[t] - offset[t]) / scale[t] : 0;
    uint8_t code[kTokens];
    float stored[kTokens];
    levels_.Round(position, code, stored);
    const float* x = &x_[static_cast<size_t>(d) * kRow];
    for (int t = 0; t < kTokens; ++t) stored[t] = offset[t] + scale[t] * stored[t];
    for (int t = 0; t < kTokens; ++t) out_.codes[static_cast<size_t>(t * head_dim_ + d)] = code[t];
    if (half_.outliers > 0) StoreExact(d, x, stored);
    if (error == nullptr) return;
    // What is not a number stays in its group.
    for (int t = 0; t < kTokens; ++t) {
      const float difference = stored[t] - x[t];
      error[t] = difference - difference == 0 ? difference : 0;
    }
  }

  // The scale and the offset of each token's group for feature d.
  void RangesOf(int d, float* scale, float* offset) const {
    const auto spread = [&](const std::vector<float>& of_groups, float* of_tokens) {
      if (half_.grouping == Grouping::kTokens) {
        std::copy_n(&of_groups[static_cast<size_t>(d / half_.group) * kRow], kTokens, of_tokens);
        return;
      }
      for (int first = 0; first < kTokens; first += half_.group) {
        const auto row = static_cast<size_t>(first / half_.group) * static_cast<size_t>(head_dim_);
        std::fill_n(of_tokens + first, half_.group, of_groups[row + static_cast<size_t>(d)]);
      }
    };
    spread(out_.scales, scale);
    if (half_.offset) {
      spread(out_.offsets, offset);
    } else {
      std::fill_n(offset, kTokens, 0.0F);
    }
  }

  void StoreExact(int d, const float* x, float* stored) {
    const uint8_t* exact = &exact_[static_cast<size_t>(d) * kRow];
    for (int t = 0; t < kTokens; ++t) {
      if (exact[t] == 0) continue;
      const float difference = StoredNumber(x[t] - stored[t]);
      out_.outliers.push_back(
          {.feature = static_cast<uint16_t>(d), .slot = static_cast<uint16_t>(t), .difference = difference});
      stored[t] += difference;
    }
  }

  const CompactHalf& half_;
  const int head_dim_;
  const HalfCalibration* calibration_;
  HalfCodes& out_;
  const LevelTable levels_;
  std::vector<float> weight_;   // [D]
  std::vector<float> x_;        // [D][64]
  std::vector<uint8_t> exact_;  // [D][64]
};

}  // namespace

void EncodeHalf(const CompactHalf& half, int head_dim, const HalfCalibration* calibration, const HalfChoices& choices,
                const float* x, HalfCodes* out) {
  Encoding encoding(half, head_dim, calibration, x, out);
  encoding.ChooseExact(choices.range);
  encoding.ChooseRanges(choices.range);
  encoding.Round();
  if (choices.qnorm) encoding.Normalise();
}

}  // namespace kvasir::kvcache
