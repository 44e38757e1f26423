// Numbers for people: bytes, rates and shares in a few characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace kvasir::cli {

/// "812 B", "3.1 MB", "98 MB", "1.24 GB": decimal units, about three digits.
[[nodiscard]] std::string FormatBytes(size_t bytes);
/// About three digits: "0.0123", "8.76", "43.2", "812", "12345".
[[nodiscard]] std::string FormatFigure(double value);
/// "135 M", "1.24 B", "262 k": how parameters are counted.
[[nodiscard]] std::string FormatParameters(int64_t count);

}  // namespace kvasir::cli
