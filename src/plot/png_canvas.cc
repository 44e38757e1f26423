#include <cairo.h>
#include <fmt/format.h>

#include <numbers>

#include "plot/canvas.h"

namespace kvasir::plot {
namespace {

constexpr double kPixels = 2;  // per unit: sharp on dense screens

struct Colour {
  double red, green, blue, alpha;
};

constexpr Colour Rgb(unsigned rgb, double alpha = 1) {
  return {static_cast<double>(rgb >> 16) / 255, static_cast<double>((rgb >> 8) & 255) / 255,
          static_cast<double>(rgb & 255) / 255, alpha};
}

// Those of a light screen in svg_canvas.cc.
Colour ColourOf(Ink ink) {
  switch (ink) {
    case Ink::kPaper: return Rgb(0xffffff);
    case Ink::kText: return Rgb(0x1f2328);
    case Ink::kFaint: return Rgb(0x59636e);
    case Ink::kGrid: return Rgb(0xd1d9e0);
    case Ink::kData: return Rgb(0x0969da);
    case Ink::kBand: return Rgb(0x0969da, 0.18);
  }
  return Rgb(0);
}

cairo_status_t Append(void* target, const unsigned char* bytes, unsigned size) {
  static_cast<std::string*>(target)->append(reinterpret_cast<const char*>(bytes), size);
  return CAIRO_STATUS_SUCCESS;
}

class PngCanvas : public Canvas {
 public:
  PngCanvas(int width, int height)
      : surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(width * kPixels),
                                            static_cast<int>(height * kPixels))),
        cairo_(cairo_create(surface_)) {
    cairo_scale(cairo_, kPixels, kPixels);
    SetInk(Ink::kPaper);
    cairo_paint(cairo_);
    cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_ROUND);
  }
  ~PngCanvas() override {
    cairo_destroy(cairo_);
    cairo_surface_destroy(surface_);
  }
  PngCanvas(const PngCanvas&) = delete;
  PngCanvas& operator=(const PngCanvas&) = delete;

  void Line(std::span<const Point> points, Ink ink, double width) override {
    SetInk(ink);
    cairo_set_line_width(cairo_, width);
    cairo_new_path(cairo_);  // a text leaves a point behind
    for (const Point& point : points) cairo_line_to(cairo_, point.x, point.y);
    cairo_stroke(cairo_);
  }
  void Area(std::span<const Point> corners, Ink ink) override {
    SetInk(ink);
    cairo_new_path(cairo_);
    for (const Point& point : corners) cairo_line_to(cairo_, point.x, point.y);
    cairo_close_path(cairo_);
    cairo_fill(cairo_);
  }
  void Text(Point at, std::string_view text, const TextStyle& style) override {
    SetInk(style.ink);
    cairo_select_font_face(cairo_, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo_, style.size);
    const std::string terminated(text);
    cairo_text_extents_t extents;
    cairo_text_extents(cairo_, terminated.c_str(), &extents);
    const double before = style.anchor == Anchor::kStart    ? 0
                          : style.anchor == Anchor::kMiddle ? extents.x_advance / 2
                                                            : extents.x_advance;
    cairo_save(cairo_);
    cairo_translate(cairo_, at.x, at.y);
    if (style.upwards) cairo_rotate(cairo_, -std::numbers::pi / 2);
    cairo_move_to(cairo_, -before, 0);
    cairo_show_text(cairo_, terminated.c_str());
    cairo_restore(cairo_);
  }
  Result<std::string> Finish() override {
    std::string bytes;
    cairo_status_t status = cairo_status(cairo_);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_write_to_png_stream(surface_, Append, &bytes);
    if (status == CAIRO_STATUS_SUCCESS) return bytes;
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the picture could not be drawn: {}", cairo_status_to_string(status)));
  }

 private:
  void SetInk(Ink ink) {
    const Colour colour = ColourOf(ink);
    cairo_set_source_rgba(cairo_, colour.red, colour.green, colour.blue, colour.alpha);
  }

  cairo_surface_t* surface_;
  cairo_t* cairo_;
};

}  // namespace

std::unique_ptr<Canvas> NewPngCanvas(int width, int height) {
  return std::make_unique<PngCanvas>(width, height);
}

}  // namespace kvasir::plot
