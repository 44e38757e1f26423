// Layout by arithmetic: the widths of letters differ from reader to reader (an SVG is drawn with whatever font is
// there), so no place depends on them. Texts get columns that are wide enough for the widest usual letters, and are
// shortened to fit.
#include "plot/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/check.h"
#include "plot/drawing.h"

namespace kvasir::plot {
namespace {

constexpr int kLineHeight = 440;
constexpr double kLineLeft = 84;
constexpr double kLineBottom = 56;
constexpr size_t kMostDots = 64;

constexpr double kBarPitch = 30;
constexpr double kBarThickness = 16;
constexpr double kBarBottom = 60;
constexpr double kFiguresGap = 14;
constexpr double kFiguresWidth = 148;  // of "100.0 %  [100, 100]"
constexpr size_t kMostLabelLetters = 24;

void DrawAxes(Canvas& canvas, const LineChart& chart, const std::vector<double>& x_ticks,
              const std::vector<double>& y_ticks, const Scale& x, const Scale& y) {
  for (const double tick : y_ticks) {
    DrawSegment(canvas, {x.from, y(tick)}, {x.to, y(tick)}, tick == 0 ? Ink::kFaint : Ink::kGrid, 1);
    canvas.Text({x.from - 8, y(tick) + 4}, fmt::format("{:g}", tick),
                {.size = kLabelSize, .anchor = Anchor::kEnd, .ink = Ink::kFaint});
  }
  for (const double tick : x_ticks) {
    DrawSegment(canvas, {x(tick), y.from}, {x(tick), y.from + 5}, Ink::kFaint, 1);
    canvas.Text({x(tick), y.from + 20}, fmt::format("{:g}", tick),
                {.size = kLabelSize, .anchor = Anchor::kMiddle, .ink = Ink::kFaint});
  }
  canvas.Text({(x.from + x.to) / 2, y.from + 42}, CleanText(chart.x_label, LettersIn(x.to - x.from, kLabelSize)),
              {.size = kLabelSize, .anchor = Anchor::kMiddle});
  canvas.Text({18, (y.from + y.to) / 2}, CleanText(chart.y_label, LettersIn(y.from - y.to, kLabelSize)),
              {.size = kLabelSize, .anchor = Anchor::kMiddle, .upwards = true});
}

}  // namespace

std::string CleanText(std::string_view text, size_t max_letters) {
  std::vector<std::string> letters;
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    size_t length = first < 0x80 ? 1 : first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : 0;
    if (first >= 0xF0 && first < 0xF5) length = 4;
    bool valid = length > 0 && i + length <= text.size() && first >= 0x20 && first != 0x7F;
    for (size_t k = 1; valid && k < length; ++k) valid = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    if (valid && length > 1) {  // overlong forms, surrogates, what is beyond Unicode, and C1 controls
      const auto second = static_cast<unsigned char>(text[i + 1]);
      valid = !(first == 0xC2 && second < 0xA0) && !(first == 0xE0 && second < 0xA0) &&
              !(first == 0xED && second >= 0xA0) && !(first == 0xF0 && second < 0x90) &&
              !(first == 0xF4 && second >= 0x90);
    }
    letters.emplace_back(valid ? std::string(text.substr(i, length)) : "?");
    i += valid ? length : 1;
  }
  const bool cut = letters.size() > max_letters;
  if (cut) letters.resize(max_letters > 3 ? max_letters - 3 : 0);
  std::string clean;
  for (const std::string& letter : letters) clean += letter;
  return cut ? clean + "..." : clean;
}

Result<ImageFormat> FormatOf(std::string_view path) {
  std::string ending(path.substr(path.size() - std::min<size_t>(path.size(), 4)));
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (ending == ".svg") return ImageFormat::kSvg;
  if (ending == ".png") return ImageFormat::kPng;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("is '{}', but it must be a file name that ends in .svg or .png", path));
}

std::vector<double> Ticks(double max, int count) {
  KV_CHECK(max > 0 && count > 0);
  const double rough = max / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.5, 2.0, 1.0}) {
    if (factor * power >= rough * 0.999) step = factor * power;
  }
  std::vector<double> ticks = {0};
  while (ticks.back() < max * 0.9999) ticks.push_back(static_cast<double>(ticks.size()) * step);
  return ticks;
}

Result<std::string> Draw(const LineChart& chart, ImageFormat format) {
  std::vector<LinePoint> points;
  double x_max = 0;
  double y_max = 0;
  for (const LinePoint& point : chart.points) {
    if (!std::isfinite(point.x) || !std::isfinite(point.y)) continue;
    points.push_back(point);
    if (!IsFinite(point.range)) points.back().range.reset();
    x_max = std::max(x_max, point.x);
    y_max = std::max({y_max, point.y, points.back().range ? points.back().range->high : 0});
  }
  const std::vector<double> x_ticks = Ticks(x_max > 0 ? x_max : 1, 8);
  const std::vector<double> y_ticks = Ticks(y_max > 0 ? y_max : 1, 5);
  const Scale x{x_ticks.back(), kLineLeft, kWidth - kMargin - 8};
  const Scale y{y_ticks.back(), kLineHeight - kLineBottom, kTop};

  const std::unique_ptr<Canvas> canvas = NewCanvas(format, kLineHeight);
  DrawTitles(*canvas, chart.title, chart.subtitle);
  DrawAxes(*canvas, chart, x_ticks, y_ticks, x, y);
  std::vector<Point> band;
  std::vector<Point> line;
  for (const LinePoint& point : points) {
    line.push_back({x(point.x), y(point.y)});
    if (point.range) band.push_back({x(point.x), y(point.range->high)});
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    if (point->range) band.push_back({x(point->x), y(std::max(point->range->low, 0.0))});
  }
  if (!band.empty()) canvas->Area(band, Ink::kBand);
  if (!line.empty()) canvas->Line(line, Ink::kData, 2);
  if (line.size() <= kMostDots) {
    for (const Point& point : line) DrawDot(*canvas, point);
  }
  return canvas->Finish();
}

Result<std::string> Draw(const BarChart& chart, ImageFormat format) {
  size_t letters = 0;
  for (const Bar& bar : chart.bars) letters = std::max(letters, CleanText(bar.label, kMostLabelLetters).size());
  const double left = kMargin + static_cast<double>(letters) * kLabelSize * kLetter + 10;
  const double bottom = kTop + kBarPitch * static_cast<double>(chart.bars.size());
  const Scale x{1, left, kWidth - kMargin - kFiguresWidth - kFiguresGap};

  const std::unique_ptr<Canvas> canvas = NewCanvas(format, static_cast<int>(bottom + kBarBottom));
  DrawTitles(*canvas, chart.title, chart.subtitle);
  for (const double tick : Ticks(1, 5)) {
    DrawSegment(*canvas, {x(tick), kTop}, {x(tick), bottom}, tick == 0 ? Ink::kFaint : Ink::kGrid, 1);
    canvas->Text({x(tick), bottom + 18}, fmt::format("{:.0f} %", 100 * tick),
                 {.size = kLabelSize, .anchor = Anchor::kMiddle, .ink = Ink::kFaint});
  }
  canvas->Text({(x.from + x.to) / 2, bottom + 40}, CleanText(chart.x_label, LettersIn(x.to - x.from, kLabelSize)),
               {.size = kLabelSize, .anchor = Anchor::kMiddle});
  for (size_t i = 0; i < chart.bars.size(); ++i) {
    const Bar& bar = chart.bars[i];
    const double middle = kTop + kBarPitch * (static_cast<double>(i) + 0.5);
    canvas->Text({left - 10, middle + 4}, CleanText(bar.label, kMostLabelLetters),
                 {.size = kLabelSize, .anchor = Anchor::kEnd});
    canvas->Text({x.to + kFiguresGap, middle + 4}, CleanText(bar.figures, LettersIn(kFiguresWidth, kLabelSize)),
                 {.size = kLabelSize, .ink = Ink::kFaint});
    if (!std::isfinite(bar.value)) continue;
    DrawRectangle(*canvas, {x(0), middle - kBarThickness / 2},
                  {x(std::clamp(bar.value, 0.0, 1.0)), middle + kBarThickness / 2}, Ink::kData);
    if (!IsFinite(bar.range)) continue;
    const double low = x(std::clamp(bar.range->low, 0.0, 1.0));
    const double high = x(std::clamp(bar.range->high, 0.0, 1.0));
    DrawSegment(*canvas, {low, middle}, {high, middle}, Ink::kText, 1.5);
    for (const double end : {low, high}) DrawSegment(*canvas, {end, middle - 5}, {end, middle + 5}, Ink::kText, 1.5);
  }
  return canvas->Finish();
}

}  // namespace kvasir::plot
