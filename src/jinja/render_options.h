// What a caller may settle about one rendering.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace kvasir::jinja {

/// What one rendering may cost. A template that wants more ends with ErrorCode::kResourceExhausted.
struct RenderLimits {
  uint64_t max_steps = 20'000'000;         ///< Expressions and statements evaluated, items visited by filters included.
  size_t max_output_bytes = 64ull << 20;   ///< Length of the rendered text.
  size_t max_value_bytes = 64ull << 20;    ///< Length of one string, or memory of one list, made on the way.
  uint64_t max_live_bytes = 512ull << 20;  ///< All values of the template at one time, its variables included.
  uint64_t max_total_bytes =
      16ull << 30;  ///< All values made on the way, those long gone included: it bounds the time.
};

/// A local date and time for `strftime_now`; weekday and day of the year are derived from the date.
struct CivilTime {
  int year = 1970;
  int month = 1;  ///< 1 to 12
  int day = 1;    ///< 1 to 31
  int hour = 0;
  int minute = 0;
  int second = 0;
};

struct RenderOptions {
  RenderLimits limits;
  /// The time `strftime_now` sees; the local clock when empty.
  std::optional<CivilTime> now;
};

}  // namespace kvasir::jinja
