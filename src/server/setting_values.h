// Values of settings as text and back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::server {

/// A whole number from `low` to `high`; the error continues "... is 'x', but".
[[nodiscard]] Result<int64_t> ParseWhole(std::string_view text, int64_t low, int64_t high);
/// A number from `low` to `high`.
[[nodiscard]] Result<double> ParseReal(std::string_view text, double low, double high);
/// "on" or "off", "true" or "false", "1" or "0".
[[nodiscard]] Result<bool> ParseSwitch(std::string_view text);

}  // namespace kvasir::server
