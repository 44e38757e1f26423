// Bytes that may or may not be text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::cli {

/// The length of the well-formed UTF-8 character at the start of `bytes`, 0 if there is none (Unicode 15, table 3-7).
[[nodiscard]] size_t Utf8Length(std::string_view bytes);

/// Where the first byte is that is not part of well-formed UTF-8.
[[nodiscard]] std::optional<size_t> FirstInvalidUtf8(std::string_view bytes);

/// An error that names `what` and the place, unless `bytes` is UTF-8.
[[nodiscard]] Status CheckUtf8(std::string_view bytes, std::string_view what);

/// Space, and the controls that are blank like it.
inline constexpr std::string_view kBlanks = " \t\r\n\f\v";

/// `text` without blanks at its ends.
[[nodiscard]] std::string_view TrimBlanks(std::string_view text);

/// One line that shows `bytes` and can be read back: \n \t \r \\, and \xNN for other controls and what is not UTF-8.
[[nodiscard]] std::string Escape(std::string_view bytes);

/// `text` without what could steer a terminal: control characters other than \n and bytes that are not UTF-8 become
/// U+FFFD. For whatever quotes a file.
[[nodiscard]] std::string Harmless(std::string_view text);

}  // namespace kvasir::cli
