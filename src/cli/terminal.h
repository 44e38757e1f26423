// What the standard streams are connected to, and text that is safe to show there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvasir::cli {

[[nodiscard]] bool InputIsTerminal();
[[nodiscard]] bool OutputIsTerminal();
[[nodiscard]] bool ErrorIsTerminal();

/// Columns of a help text: the terminal's, at most 100; 100 without a terminal.
[[nodiscard]] size_t HelpWidth();
/// Columns of the terminal at standard error; 80 without one.
[[nodiscard]] size_t ErrorWidth();

/// `text` in a pale colour if standard error is a terminal that shows colours (NO_COLOR and TERM=dumb are obeyed).
[[nodiscard]] std::string Quiet(std::string_view text);
/// Whether colours may be used on a stream that is a terminal.
[[nodiscard]] bool ColoursAllowed();

/// Removes control characters other than newline and tab: what a model writes must not steer the terminal. `text` holds
/// whole code points.
[[nodiscard]] std::string WithoutControls(std::string_view text);

}  // namespace kvasir::cli
