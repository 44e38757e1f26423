// Questions about the characters of a text.
#pragma once

#include <string_view>

namespace kvasir::jinja {

[[nodiscard]] bool IsLowerCase(std::string_view text);  ///< str.islower
[[nodiscard]] bool IsUpperCase(std::string_view text);  ///< str.isupper

}  // namespace kvasir::jinja
