// Charts: data, titles and units in, the bytes of a picture out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::plot {

enum class ImageFormat { kSvg, kPng };

/// The format that the ending of `path` names, .svg or .png in any case. The error names the path and both.
[[nodiscard]] Result<ImageFormat> FormatOf(std::string_view path);

/// Where the truth may lie around a value.
struct Range {
  double low = 0;
  double high = 0;
};

/// One point of a line.
struct LinePoint {
  double x = 0;
  double y = 0;
  std::optional<Range> range;
};

/// A quantity against another one. The y axis begins at 0.
struct LineChart {
  std::string title;
  std::string subtitle;
  std::string x_label;
  std::string y_label;
  std::vector<LinePoint> points;  ///< In ascending order of x; y is not negative.
};

/// One bar, with its figures written out behind it.
struct Bar {
  std::string label;
  double value = 0;
  std::optional<Range> range;
  std::string figures;
};

/// Shares of a whole: an axis from 0 to 100 %.
struct BarChart {
  std::string title;
  std::string subtitle;
  std::string x_label;
  std::vector<Bar> bars;  ///< From the top; values 0..1.
};

/// Draws the chart. Values that are not finite are left out. Errors: those of Canvas::Finish.
[[nodiscard]] Result<std::string> Draw(const LineChart& chart, ImageFormat format);
[[nodiscard]] Result<std::string> Draw(const BarChart& chart, ImageFormat format);

/// Round numbers (1, 2, 2.5 or 5 times a power of ten apart) from 0 up to the first that is at least `max`, about
/// `count` of them. `max` > 0.
[[nodiscard]] std::vector<double> Ticks(double max, int count);

}  // namespace kvasir::plot
