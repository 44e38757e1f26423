// The little HTML that filters know.
#pragma once

#include <string>
#include <string_view>

namespace kvasir::jinja {

/// &, <, >, ' and " as entities.
[[nodiscard]] std::string EscapeHtml(std::string_view text);
/// Numeric entities and the common named ones as characters; others stay.
[[nodiscard]] std::string UnescapeHtml(std::string_view text);
/// `text` without tags and comments, each run of whitespace one blank, entities resolved.
[[nodiscard]] std::string StripTags(std::string_view text);

}  // namespace kvasir::jinja
