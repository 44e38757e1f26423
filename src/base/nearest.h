// "Did you mean": the known name nearest to what was typed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvasir::base {

/// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`.
[[nodiscard]] int EditDistance(std::string_view a, std::string_view b);

/// The name of `known` that `typed` was probably meant to be: the nearest one, if it is near enough.
[[nodiscard]] std::optional<std::string> Nearest(std::string_view typed, std::span<const std::string> known);

}  // namespace kvasir::base
