#include "cli/figures.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace kvasir::cli {
namespace {

// `value` divided by 1000 until it fits three digits, then the unit of that power. Rounding decides the unit: 999.9 k
// is 1 M.
std::string Scale(double value, const std::array<const char*, 5>& units) {
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  const std::string figure = unit == 0 ? fmt::format("{:.0f}", value) : FormatFigure(value);
  return units[unit][0] == '\0' ? figure : fmt::format("{} {}", figure, units[unit]);
}

}  // namespace

std::string FormatFigure(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::abs(value);
  if (size >= 99.95) return fmt::format("{:.0f}", value);
  if (size >= 9.995) return fmt::format("{:.1f}", value);
  if (size >= 0.9995 || size == 0) return fmt::format("{:.2f}", value);
  return fmt::format("{:.3g}", value);
}

std::string FormatBytes(size_t bytes) {
  return Scale(static_cast<double>(bytes), {"B", "kB", "MB", "GB", "TB"});
}

std::string FormatParameters(int64_t count) {
  return Scale(static_cast<double>(count), {"", "k", "M", "B", "T"});
}

}  // namespace kvasir::cli
