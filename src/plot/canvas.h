// What charts are drawn on.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::plot {

/// In units from the top left corner.
struct Point {
  double x = 0;
  double y = 0;
};

/// What a thing is, which decides its colour.
enum class Ink { kPaper, kText, kFaint, kGrid, kData, kBand };

/// Which point of a text is given.
enum class Anchor { kStart, kMiddle, kEnd };

struct TextStyle {
  double size = 12;  ///< Of the letters, in units.
  Anchor anchor = Anchor::kStart;
  Ink ink = Ink::kText;
  bool bold = false;
  bool upwards = false;  ///< Turned by a quarter, read from below.
};

/// One picture. One thread.
class Canvas {
 public:
  virtual ~Canvas() = default;
  /// A line through `points`.
  virtual void Line(std::span<const Point> points, Ink ink, double width) = 0;
  /// The area inside `corners`.
  virtual void Area(std::span<const Point> corners, Ink ink) = 0;
  /// `text`, clean UTF-8 (CleanText), on the line whose anchor is `at`.
  virtual void Text(Point at, std::string_view text, const TextStyle& style) = 0;
  /// The bytes of the file. Errors: kResourceExhausted when there is no memory for the picture.
  [[nodiscard]] virtual Result<std::string> Finish() = 0;
};

/// An SVG that follows the reader's choice of a light or dark screen.
[[nodiscard]] std::unique_ptr<Canvas> NewSvgCanvas(int width, int height);
/// A PNG on white, two pixels per unit.
[[nodiscard]] std::unique_ptr<Canvas> NewPngCanvas(int width, int height);

/// `text` with '?' for every control character and every byte that is not UTF-8, and with "..." for what is beyond
/// `max_letters`.
[[nodiscard]] std::string CleanText(std::string_view text, size_t max_letters);

}  // namespace kvasir::plot
