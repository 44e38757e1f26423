#include "sampling/range.h"

#include <fmt/format.h>

#include <limits>

namespace kvasir::sampling {

Status CheckRange(std::string_view field, float value, float low, float high) {
  if (value >= low && value <= high) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} is {}, but it must be from {} to {}", field, value, low, high));
}

Status CheckCount(std::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  const std::string range = high == std::numeric_limits<int32_t>::max() ? fmt::format("{} or more", low)
                                                                        : fmt::format("from {} to {}", low, high);
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}, but it must be {}", field, value, range));
}

}  // namespace kvasir::sampling
