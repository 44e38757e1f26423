#include <fmt/format.h>

#include "plot/canvas.h"

namespace kvasir::plot {
namespace {

// One class per ink; the second sheet is that of dark screens.
constexpr std::string_view kStyle =
    ".paper{fill:#ffffff}.text{fill:#1f2328}.faint{fill:#59636e}.grid{stroke:#d1d9e0}.axis{stroke:#59636e}"
    ".data{stroke:#0969da}.fill{fill:#0969da}.band{fill:#0969da;fill-opacity:.18}"
    "@media(prefers-color-scheme:dark){.paper{fill:#0d1117}.text{fill:#f0f6fc}.faint{fill:#9198a1}"
    ".grid{stroke:#3d444d}.axis{stroke:#9198a1}.data{stroke:#4493f8}.fill{fill:#4493f8}.band{fill:#4493f8}}";

std::string_view LineClass(Ink ink) {
  return ink == Ink::kData ? "data" : ink == Ink::kGrid ? "grid" : "axis";
}

std::string_view FillClass(Ink ink) {
  switch (ink) {
    case Ink::kPaper: return "paper";
    case Ink::kText: return "text";
    case Ink::kData: return "fill";
    case Ink::kBand: return "band";
    case Ink::kFaint:
    case Ink::kGrid: break;
  }
  return "faint";
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string PointList(std::span<const Point> points) {
  std::string list;
  for (const Point& point : points) list += fmt::format("{}{:.2f},{:.2f}", list.empty() ? "" : " ", point.x, point.y);
  return list;
}

class SvgCanvas : public Canvas {
 public:
  SvgCanvas(int width, int height) {
    text_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
        "font-family=\"system-ui,sans-serif\">\n<style>{2}</style>\n<rect class=\"paper\" width=\"{0}\" "
        "height=\"{1}\"/>\n",
        width, height, kStyle);
  }

  void Line(std::span<const Point> points, Ink ink, double width) override {
    text_ += fmt::format("<polyline class=\"{}\" fill=\"none\" stroke-width=\"{}\" points=\"{}\"/>\n", LineClass(ink),
                         width, PointList(points));
  }
  void Area(std::span<const Point> corners, Ink ink) override {
    text_ += fmt::format("<polygon class=\"{}\" points=\"{}\"/>\n", FillClass(ink), PointList(corners));
  }
  void Text(Point at, std::string_view text, const TextStyle& style) override {
    const std::string_view anchor = style.anchor == Anchor::kStart    ? "start"
                                    : style.anchor == Anchor::kMiddle ? "middle"
                                                                      : "end";
    const std::string turned = style.upwards ? fmt::format(" transform=\"rotate(-90 {:.2f} {:.2f})\"", at.x, at.y) : "";
    text_ +=
        fmt::format("<text class=\"{}\" x=\"{:.2f}\" y=\"{:.2f}\" font-size=\"{}\" text-anchor=\"{}\"{}{}>{}</text>\n",
                    FillClass(style.ink), at.x, at.y, style.size, anchor, style.bold ? " font-weight=\"600\"" : "",
                    turned, Escaped(text));
  }
  Result<std::string> Finish() override { return text_ + "</svg>\n"; }

 private:
  std::string text_;
};

}  // namespace

std::unique_ptr<Canvas> NewSvgCanvas(int width, int height) {
  return std::make_unique<SvgCanvas>(width, height);
}

}  // namespace kvasir::plot
