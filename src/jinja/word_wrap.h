// Filling lines with words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/runtime.h"

namespace kvasir::jinja {

struct WrapStyle {
  int64_t width = 79;
  bool break_long_words = true;
  bool break_on_hyphens = true;
};

/// `line` as lines of at most `style.width` characters, the way Python's textwrap cuts it. Errors: the width is not
/// positive.
[[nodiscard]] Result<std::vector<std::string>> WrapLine(Runtime& runtime, std::string_view line,
                                                        const WrapStyle& style);

}  // namespace kvasir::jinja
