// Plain English words for generated texts.
#pragma once

#include <span>
#include <string_view>

namespace kvasir::eval {

// In lower case, letters only; no word appears twice, in one list or in two.
[[nodiscard]] std::span<const std::string_view> Adjectives();
[[nodiscard]] std::span<const std::string_view> Nouns();
[[nodiscard]] std::span<const std::string_view> Verbs();

}  // namespace kvasir::eval
