// What all charts draw alike: titles, segments, dots, and the way from data to units.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "plot/canvas.h"
#include "plot/chart.h"

namespace kvasir::plot {

inline constexpr int kWidth = 800;
inline constexpr double kMargin = 24;
inline constexpr double kTop = 76;       ///< Room for title and subtitle.
inline constexpr double kLetter = 0.62;  ///< Width of a letter in parts of its size, on average and generously.
inline constexpr double kLabelSize = 12;
inline constexpr double kDotRadius = 3;

/// Letters of `size` that fit `width`.
[[nodiscard]] inline size_t LettersIn(double width, double size) {
  return static_cast<size_t>(width / (size * kLetter));
}

void DrawTitles(Canvas& canvas, const std::string& title, const std::string& subtitle);
void DrawSegment(Canvas& canvas, Point from, Point to, Ink ink, double width);
void DrawRectangle(Canvas& canvas, Point from, Point to, Ink ink);
void DrawDot(Canvas& canvas, Point centre);

/// From data to units of the canvas, along one axis that begins at 0.
struct Scale {
  double data_max;
  double from;
  double to;
  [[nodiscard]] double operator()(double value) const { return from + (to - from) * value / data_max; }
};

/// A canvas of kWidth.
[[nodiscard]] std::unique_ptr<Canvas> NewCanvas(ImageFormat format, int height);

[[nodiscard]] bool IsFinite(const std::optional<Range>& range);

}  // namespace kvasir::plot
