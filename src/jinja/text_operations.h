// The work behind both string methods and string filters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

enum class Side : uint8_t { kLeft, kRight, kBoth };

/// `text` without whitespace at `side`, or without the characters of `characters` when given.
[[nodiscard]] std::string_view Strip(std::string_view text, Side side, std::optional<std::string_view> characters);

/// Replaces `old` with `replacement`, at most `count` times when that is not negative.
[[nodiscard]] Result<std::string> Replace(Runtime& runtime, std::string_view text, std::string_view old,
                                          std::string_view replacement, int64_t count);

/// str.splitlines(). Errors: too many lines for the budget.
[[nodiscard]] Result<std::vector<std::string_view>> SplitLines(Runtime& runtime, std::string_view text, bool keep_ends);

/// Fills up to `width` characters with `fill`, at the given side of the text (kBoth: centred).
[[nodiscard]] Result<std::string> Pad(Runtime& runtime, std::string_view text, int64_t width, std::string_view fill,
                                      Side side);

/// A list of strings, Markup when `markup`. Errors: too many for the budget.
[[nodiscard]] Result<Value> TextList(Runtime& runtime, const std::vector<std::string_view>& parts, bool markup);

/// separator.join(texts of items), each item by str().
[[nodiscard]] Result<std::string> JoinAsText(Runtime& runtime, std::string_view separator,
                                             const std::vector<Value>& items);

}  // namespace kvasir::jinja
