// Dates as text, in the C locale whatever the process has set.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "jinja/render_options.h"

namespace kvasir::jinja {

/// No directive makes more than this many times its length.
inline constexpr size_t kMaxStrftimeGrowth = 256;

/// datetime.strftime(format) over glibc: the directives of C99, %k, %l, %P and %s (seconds since 1970, of `time` in the
/// process's time zone), with glibc's flags (-, _, 0, ^, #), a width of at most three digits, and E and O, which the C
/// locale ignores; and Python's %f (microseconds, always 000000). An unknown one stays as it is. Fields of `time`
/// beyond their range are carried, as mktime carries them.
[[nodiscard]] std::string Strftime(const CivilTime& time, std::string_view format);

}  // namespace kvasir::jinja
