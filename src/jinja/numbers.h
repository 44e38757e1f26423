// Numbers to text and back, as Python writes and reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::jinja {

/// repr(float): the shortest text that reads back the same, "1.0", "1e+16", "inf".
[[nodiscard]] std::string FormatFloat(double value);

/// int(text, base): surrounding whitespace, sign, underscores and, for base 0 or a matching one, the prefix are read.
/// Decimal digits of all
/// scripts count. Nothing when `text` is no integer. Errors: kUnsupported beyond 64 bits.
[[nodiscard]] Result<std::optional<int64_t>> ParseInt(std::string_view text, int base);

/// float(text), or nothing.
[[nodiscard]] std::optional<double> ParseFloat(std::string_view text);

/// The integer part of `value`. Errors: not finite, or beyond 64 bits.
[[nodiscard]] Result<int64_t> TruncateToInt(double value);

/// round(value, digits): to even on a tie of the exact binary value.
[[nodiscard]] double RoundTo(double value, int64_t digits);

}  // namespace kvasir::jinja
