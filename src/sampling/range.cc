#include "sampling/range.h"

#include <fmt/format.h>

#include <limits>

namespace kvasir::sampling {

Status CheckRange(std::string_view field, double value, double low, double high) {
  if (value >= low && value <= high) return {};
  // A float prints as the user wrote it: 1.1, not 1.10000002.
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} is {}, but it must be from {} to {}", field, static_cast<float>(value), low, high));
}

Status CheckCount(std::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  const std::string range = high == std::numeric_limits<int32_t>::max() ? fmt::format("{} or more", low)
                                                                        : fmt::format("from {} to {}", low, high);
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}, but it must be {}", field, value, range));
}

}  // namespace kvasir::sampling
