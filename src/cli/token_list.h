// Token ids written down by people and programs.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::cli {

/// Reads "[1, 2, 3]" or "1 2 3": numbers with white space or commas between them, with or without brackets around all.
/// The error names the first item that is no token id, and its number.
[[nodiscard]] Result<std::vector<int32_t>> ParseTokenList(std::string_view text);

}  // namespace kvasir::cli
