// The named ways to store one half of a compact page, its keys or its values: one line each in half_codec.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/compact_page.h"
#include "kvasir/result.h"
#include "kvcache/encode_range.h"

namespace kvasir::kvcache {

/// A way to store keys or values, by its name in `--kv`.
struct HalfCodec {
  std::string_view name;
  std::string_view about;  ///< One line for a user.
  kernels::CompactHalf keys;
  kernels::CompactHalf values;
  RangeChoice key_range = RangeChoice::kCover;
  RangeChoice value_range = RangeChoice::kCover;
  double key_outliers = 0;  ///< Share of a page's elements that is stored exactly, if the user does not say another.
  double value_outliers = 0;
  bool feedback = false;  ///< Errors of keys are steered by a calibration, where there is one.
  bool qnorm = false;     ///< A page's mean and spread are kept (HalfChoices).
  bool fitted = false;    ///< Levels come from a calibration, where there is one; evenly spaced without.
};

/// How many elements of a page's half the share `outliers` of them is.
[[nodiscard]] int64_t OutlierCount(double outliers, int head_dim);

/// All of them.
[[nodiscard]] std::span<const HalfCodec> HalfCodecs();
/// The one called `name`; kNotFound with the names there are.
[[nodiscard]] Result<const HalfCodec*> FindHalfCodec(std::string_view name);
/// "q8, q4, ..."
[[nodiscard]] std::string HalfCodecNames();

}  // namespace kvasir::kvcache
