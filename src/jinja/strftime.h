// Dates as text, in the C locale whatever the process has set.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "jinja/render_options.h"

namespace kvasir::jinja {

/// No directive of two bytes makes more than this many times its length.
inline constexpr size_t kMaxStrftimeGrowth = 32;

/// datetime.strftime(format): the directives of C99, and %f (microseconds, always 000000). An unknown one stays as it
/// is. Fields of `time` beyond their range are carried, as mktime carries them.
[[nodiscard]] std::string Strftime(const CivilTime& time, std::string_view format);

}  // namespace kvasir::jinja
