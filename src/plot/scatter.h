// Points with names: what is gained against what is given for it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plot/chart.h"

namespace kvasir::plot {

struct ScatterPoint {
  std::string label;
  double x = 0;  ///< Not negative.
  double y = 0;
  std::optional<Range> range;  ///< Of y.
  bool on_line = false;        ///< A line goes through the points that have this, in ascending order of x.
  bool bold = false;
};

/// Points over one y axis.
struct ScatterPanel {
  std::string y_label;
  /// In powers of ten; what is at or below the lowest of them is drawn there. Else the axis begins at 0.
  bool logarithmic = false;
  std::vector<ScatterPoint> points;
};

/// Panels below each other, with one x axis from 0 for all.
struct ScatterChart {
  std::string title;
  std::string subtitle;
  std::string x_label;
  std::vector<ScatterPanel> panels;
};

/// Draws the chart. Points that are not finite are left out. A name stands beside its point, or where there is no room
/// above or below it, at the end of a thin line. Errors: those of Canvas::Finish.
[[nodiscard]] Result<std::string> Draw(const ScatterChart& chart, ImageFormat format);

}  // namespace kvasir::plot
