#include "plot/drawing.h"

#include <cmath>
#include <numbers>
#include <vector>

namespace kvasir::plot {
namespace {

constexpr double kTitleSize = 17;

}  // namespace

void DrawTitles(Canvas& canvas, const std::string& title, const std::string& subtitle) {
  const double width = kWidth - 2 * kMargin;
  canvas.Text({kMargin, 32}, CleanText(title, LettersIn(width, kTitleSize)), {.size = kTitleSize, .bold = true});
  canvas.Text({kMargin, 53}, CleanText(subtitle, LettersIn(width, kLabelSize)),
              {.size = kLabelSize, .ink = Ink::kFaint});
}

void DrawSegment(Canvas& canvas, Point from, Point to, Ink ink, double width) {
  const Point points[] = {from, to};
  canvas.Line(points, ink, width);
}

void DrawRectangle(Canvas& canvas, Point from, Point to, Ink ink) {
  const Point corners[] = {from, {to.x, from.y}, to, {from.x, to.y}};
  canvas.Area(corners, ink);
}

void DrawDot(Canvas& canvas, Point centre) {
  constexpr int kCorners = 16;
  std::vector<Point> corners;
  for (int i = 0; i < kCorners; ++i) {
    const double angle = 2 * std::numbers::pi * i / kCorners;
    corners.push_back({centre.x + kDotRadius * std::cos(angle), centre.y + kDotRadius * std::sin(angle)});
  }
  canvas.Area(corners, Ink::kData);
}

std::unique_ptr<Canvas> NewCanvas(ImageFormat format, int height) {
  return format == ImageFormat::kSvg ? NewSvgCanvas(kWidth, height) : NewPngCanvas(kWidth, height);
}

bool IsFinite(const std::optional<Range>& range) {
  return range && std::isfinite(range->low) && std::isfinite(range->high);
}

}  // namespace kvasir::plot
