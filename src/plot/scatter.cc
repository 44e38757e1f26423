// The names are the difficulty: caches of like size have like loss, and names that lie upon each other say nothing. So
// each name takes the nearest free place to its dot, beside it or in steps of a line above and below, in a fixed order;
// what is taken is kept as a list of rectangles. With few points that is all a layout needs.
#include "plot/scatter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "plot/drawing.h"

namespace kvasir::plot {
namespace {

constexpr double kPanelHeight = 300;
constexpr double kPanelGap = 30;
constexpr double kLeft = 84;
constexpr double kBottom = 56;
constexpr double kLine = 14;  // from one line of letters to the next
constexpr double kSmallSize = 11;
constexpr size_t kMostLabelLetters = 28;
constexpr int kMostSteps = 24;
constexpr double kMostDecades = 6;

struct Box {
  double left, top, right, bottom;
  [[nodiscard]] bool Overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
  [[nodiscard]] bool Inside(const Box& other) const {
    return left >= other.left && right <= other.right && top >= other.top && bottom <= other.bottom;
  }
};

// From values to units, linear from 0 or in powers of ten.
class Axis {
 public:
  Axis(const ScatterPanel& panel, double from, double to) : logarithmic_(panel.logarithmic), from_(from), to_(to) {
    double lowest = 0, highest = 0;
    for (const ScatterPoint& point : panel.points) {
      const double top = point.range ? std::max(point.range->high, point.y) : point.y;
      highest = std::max(highest, top);
      if (point.y > 0 && (lowest == 0 || point.y < lowest)) lowest = point.y;
    }
    if (highest <= 0) highest = lowest = 1;
    if (!logarithmic_) {
      ticks_ = Ticks(highest, 5);
      low_ = 0;
      high_ = ticks_.back();
      return;
    }
    high_ = std::ceil(std::log10(highest) - 1e-9);
    low_ = std::min(std::max(std::floor(std::log10(lowest)), high_ - kMostDecades), high_ - 1);
    for (double power = low_; power <= high_; ++power) ticks_.push_back(std::pow(10, power));
  }

  [[nodiscard]] double operator()(double value) const {
    const double place = logarithmic_ ? (value > 0 ? std::log10(value) : low_) : value;
    return from_ + (to_ - from_) * (std::clamp(place, low_, high_) - low_) / (high_ - low_);
  }
  [[nodiscard]] const std::vector<double>& ticks() const { return ticks_; }

 private:
  bool logarithmic_;
  double from_, to_;
  double low_ = 0, high_ = 1;
  std::vector<double> ticks_;
};

// Where the name of a point at `dot` may stand, the best place first.
struct Place {
  Point at;  // of the text
  Anchor anchor;
  bool line;
};

std::vector<Place> PlacesAround(Point dot) {
  std::vector<Place> places;
  for (int step = 0; step <= kMostSteps; ++step) {
    for (const double side : {-1.0, 1.0}) {
      const double y = dot.y + 4 + side * step * kLine;
      places.push_back({{dot.x + 9, y}, Anchor::kStart, step > 0});
      places.push_back({{dot.x - 9, y}, Anchor::kEnd, step > 0});
      if (step == 0) break;
    }
  }
  return places;
}

Box BoxOf(const Place& place, size_t letters) {
  const double width = static_cast<double>(letters) * kSmallSize * kLetter;
  const double left = place.anchor == Anchor::kStart ? place.at.x : place.at.x - width;
  return {left, place.at.y - kSmallSize, left + width, place.at.y + 3};
}

// `taken` are the places of other marks.
void DrawLabels(Canvas& canvas, const std::vector<ScatterPoint>& points, const std::vector<Point>& dots,
                const Box& area, std::vector<Box> taken) {
  for (size_t i = 0; i < points.size(); ++i) {
    const std::string label = CleanText(points[i].label, kMostLabelLetters);
    for (const Place& place : PlacesAround(dots[i])) {
      const Box box = BoxOf(place, label.size());
      if (!box.Inside(area) || std::ranges::any_of(taken, [&](const Box& other) { return box.Overlaps(other); })) {
        continue;
      }
      taken.push_back(box);
      if (place.line) DrawSegment(canvas, dots[i], {place.at.x, place.at.y - 4}, Ink::kGrid, 1);
      canvas.Text(place.at, label, {.size = kSmallSize, .anchor = place.anchor, .bold = points[i].bold});
      break;
    }
  }
}

Box DrawRange(Canvas& canvas, double x, double low, double high) {
  DrawSegment(canvas, {x, low}, {x, high}, Ink::kFaint, 1);
  for (const double end : {low, high}) DrawSegment(canvas, {x - 4, end}, {x + 4, end}, Ink::kFaint, 1);
  return {x - 4, high - 1, x + 4, low + 1};
}

// Boxes along a line, close enough that no letter fits between two of them.
void TakeLine(const std::vector<Point>& line, std::vector<Box>& taken) {
  for (size_t i = 1; i < line.size(); ++i) {
    const double dx = line[i].x - line[i - 1].x, dy = line[i].y - line[i - 1].y;
    const double steps = std::ceil(std::hypot(dx, dy) / 4);
    for (double step = 0; step < steps; ++step) {
      const Point at{line[i - 1].x + dx * step / steps, line[i - 1].y + dy * step / steps};
      taken.push_back({at.x - 1, at.y - 1, at.x + 1, at.y + 1});
    }
  }
}

void DrawPanel(Canvas& canvas, const ScatterPanel& panel, const Scale& x, double top) {
  const double bottom = top + kPanelHeight;
  const Axis y(panel, bottom, top + kLine);
  for (const double tick : y.ticks()) {
    DrawSegment(canvas, {x.from, y(tick)}, {x.to, y(tick)}, y(tick) == bottom ? Ink::kFaint : Ink::kGrid, 1);
    canvas.Text({x.from - 8, y(tick) + 4}, fmt::format("{:g}", tick),
                {.size = kLabelSize, .anchor = Anchor::kEnd, .ink = Ink::kFaint});
  }
  canvas.Text({18, (top + bottom) / 2}, CleanText(panel.y_label, LettersIn(kPanelHeight, kLabelSize)),
              {.size = kLabelSize, .anchor = Anchor::kMiddle, .upwards = true});
  std::vector<Point> dots, line;
  std::vector<Box> taken;
  for (const ScatterPoint& point : panel.points) {
    dots.push_back({x(point.x), y(point.y)});
    const Point dot = dots.back();
    taken.push_back({dot.x - 5, dot.y - 5, dot.x + 5, dot.y + 5});
    if (point.on_line) line.push_back(dot);
    if (point.range) taken.push_back(DrawRange(canvas, dot.x, y(point.range->low), y(point.range->high)));
  }
  std::ranges::sort(line, {}, &Point::x);
  if (line.size() > 1) canvas.Line(line, Ink::kData, 1.5);
  TakeLine(line, taken);
  for (const Point& dot : dots) DrawDot(canvas, dot);
  DrawLabels(canvas, panel.points, dots, {x.from, top, kWidth - kMargin / 2, bottom - 2}, std::move(taken));
}

ScatterPanel Finite(const ScatterPanel& panel) {
  ScatterPanel finite = panel;
  std::erase_if(finite.points, [](const ScatterPoint& p) { return !std::isfinite(p.x) || !std::isfinite(p.y); });
  for (ScatterPoint& point : finite.points) {
    if (!IsFinite(point.range)) point.range.reset();
  }
  return finite;
}

}  // namespace

Result<std::string> Draw(const ScatterChart& chart, ImageFormat format) {
  double x_max = 0;
  std::vector<ScatterPanel> panels;
  for (const ScatterPanel& panel : chart.panels) {
    panels.push_back(Finite(panel));
    for (const ScatterPoint& point : panels.back().points) x_max = std::max(x_max, point.x);
  }
  const std::vector<double> ticks = Ticks(x_max > 0 ? x_max : 1, 8);
  const Scale x{ticks.back(), kLeft, kWidth - kMargin - 8};
  const auto count = static_cast<double>(panels.size());
  const double bottom = kTop + count * kPanelHeight + std::max(count - 1, 0.0) * kPanelGap;

  const std::unique_ptr<Canvas> canvas = NewCanvas(format, static_cast<int>(bottom + kBottom));
  DrawTitles(*canvas, chart.title, chart.subtitle);
  for (size_t i = 0; i < panels.size(); ++i) {
    DrawPanel(*canvas, panels[i], x, kTop + static_cast<double>(i) * (kPanelHeight + kPanelGap));
  }
  for (const double tick : ticks) {
    DrawSegment(*canvas, {x(tick), bottom}, {x(tick), bottom + 5}, Ink::kFaint, 1);
    canvas->Text({x(tick), bottom + 20}, fmt::format("{:g}", tick),
                 {.size = kLabelSize, .anchor = Anchor::kMiddle, .ink = Ink::kFaint});
  }
  canvas->Text({(x.from + x.to) / 2, bottom + 42}, CleanText(chart.x_label, LettersIn(x.to - x.from, kLabelSize)),
               {.size = kLabelSize, .anchor = Anchor::kMiddle});
  return canvas->Finish();
}

}  // namespace kvasir::plot
