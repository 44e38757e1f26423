// Range checks of options, with one wording of the error.
#pragma once

#include <cstdint>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::sampling {

/// An error unless low <= value <= high: NaN is an error, infinity too when the bounds are finite. The message
/// is like "top_p is 1.5, but it must be from 0 to 1".
[[nodiscard]] Status CheckRange(std::string_view field, float value, float low, float high);

/// The same for whole numbers.
[[nodiscard]] Status CheckCount(std::string_view field, int64_t value, int64_t low, int64_t high);

}  // namespace kvasir::sampling
