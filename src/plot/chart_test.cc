#include "plot/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>

#include "plot/canvas.h"

namespace kvasir::plot {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

LineChart Depth() {
  return {.title = "A title",
          .subtitle = "and what was measured",
          .x_label = "tokens",
          .y_label = "nats",
          .points = {{0, 0.001, Range{0.0005, 0.002}}, {100, 0.003, Range{0.002, 0.0049}}, {200, 0.002, {}}}};
}

BarChart Scores() {
  return {.title = "Scores",
          .subtitle = "three tasks",
          .x_label = "found",
          .bars = {{"first", 1, Range{1, 1}, "100.0 %  [100, 100]"},
                   {"second", 0.25, Range{0, 0.6}, "25 %"},
                   {"third", 0, {}, "0 %"}}};
}

std::string Svg(const auto& chart) {
  return Draw(chart, ImageFormat::kSvg).value();
}

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Ticks, AreRoundAndReachTheMaximum) {
  EXPECT_THAT(Ticks(1, 5), ElementsAre(0, 0.2, ::testing::DoubleEq(0.4), ::testing::DoubleEq(0.6), 0.8, 1));
  EXPECT_THAT(Ticks(2000, 8), ElementsAre(0, 250, 500, 750, 1000, 1250, 1500, 1750, 2000));
  for (const double max : {1e-9, 0.00037, 0.9, 1.0, 3.3, 7.0, 99.0, 12345.0, 3e12}) {
    const std::vector<double> ticks = Ticks(max, 5);
    EXPECT_GE(ticks.back(), max * 0.9999);
    EXPECT_LT(ticks[ticks.size() - 2], max);
    EXPECT_GE(ticks.size(), 3u);
    EXPECT_LE(ticks.size(), 7u);
  }
}

TEST(FormatOf, IsTheEndingOfTheName) {
  EXPECT_EQ(FormatOf("a/b.svg").value(), ImageFormat::kSvg);
  EXPECT_EQ(FormatOf("B.PNG").value(), ImageFormat::kPng);
  for (const char* wrong : {"", "png", "a.pdf", "svg.txt", "a.svg/"}) {
    EXPECT_THAT(FormatOf(wrong).error().message, HasSubstr(".svg or .png")) << wrong;
  }
}

TEST(LineChart, ShowsTitlesUnitsAxesAndEveryPoint) {
  const std::string svg = Svg(Depth());
  for (const char* text : {">A title<", ">and what was measured<", ">tokens<", ">nats<", ">0.005<", ">200<"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  EXPECT_EQ(CountOf(svg, "class=\"data\""), 1u);           // the line
  EXPECT_EQ(CountOf(svg, "<polygon class=\"fill\""), 3u);  // a dot for each point
  EXPECT_EQ(CountOf(svg, "<polygon class=\"band\""), 1u);
  EXPECT_EQ(svg, Svg(Depth()));
}

TEST(LineChart, StaysInsideThePicture) {
  const std::string svg = Svg(Depth());
  const std::regex pair("(-?[0-9.]+),(-?[0-9.]+)");
  for (auto it = std::sregex_iterator(svg.begin(), svg.end(), pair); it != std::sregex_iterator(); ++it) {
    EXPECT_GE(std::stod((*it)[1]), 0);
    EXPECT_LE(std::stod((*it)[1]), 800);
    EXPECT_GE(std::stod((*it)[2]), 0);
    EXPECT_LE(std::stod((*it)[2]), 440);
  }
}

TEST(LineChart, LeavesOutWhatIsNoNumber) {
  LineChart chart = Depth();
  chart.points.push_back({300, kNan, {}});
  chart.points.push_back({kNan, 1, {}});
  chart.points[0].range = Range{0, kNan};
  const std::string svg = Svg(chart);
  EXPECT_EQ(CountOf(svg, "<polygon class=\"fill\""), 3u);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(Svg(LineChart{}), HasSubstr("</svg>"));
  LineChart zero;
  zero.points = {{0, 0, {}}};
  EXPECT_THAT(Svg(zero), Not(HasSubstr("nan")));
}

TEST(BarChart, ShowsEveryBarItsIntervalAndItsFigures) {
  const std::string svg = Svg(Scores());
  for (const char* text :
       {">Scores<", ">three tasks<", ">found<", ">first<", ">third<", ">25 %<", ">100.0 %  [100, 100]<", ">0 %<"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  EXPECT_EQ(CountOf(svg, "<polygon class=\"fill\""), 3u);
  EXPECT_EQ(CountOf(svg, "stroke-width=\"1.5\""), 6u);  // two whiskers of three strokes
}

TEST(Draw, PngIsAPictureOfTwiceTheSize) {
  for (const auto& png : {Draw(Depth(), ImageFormat::kPng), Draw(Scores(), ImageFormat::kPng)}) {
    ASSERT_TRUE(png.has_value());
    EXPECT_TRUE(png->starts_with("\x89PNG\r\n\x1a\n"));
    const auto byte = [&](size_t i) { return static_cast<unsigned char>((*png)[i]); };
    EXPECT_EQ(byte(18) * 256 + byte(19), 1600);  // the width in the header
  }
  EXPECT_NE(Draw(Depth(), ImageFormat::kPng).value(), Draw(LineChart{}, ImageFormat::kPng).value());
}

TEST(PngCanvas, WhatIsDrawnBeforeLeavesNoTrace) {
  const Point line[] = {{10, 80}, {90, 80}};
  const Point area[] = {{10, 60}, {90, 60}, {50, 70}};
  const auto draw = [&](bool text_first) {
    const std::unique_ptr<Canvas> canvas = NewPngCanvas(100, 100);
    if (text_first) canvas->Text({10, 20}, "text", {});
    canvas->Line(line, Ink::kText, 2);
    if (text_first) canvas->Text({10, 40}, "text", {});
    canvas->Area(area, Ink::kData);
    if (!text_first) {
      canvas->Text({10, 20}, "text", {});
      canvas->Text({10, 40}, "text", {});
    }
    return canvas->Finish().value();
  };
  EXPECT_EQ(draw(true), draw(false));
}

TEST(Draw, NamesOfModelsAreDataNotMarkup) {
  BarChart chart = Scores();
  chart.title = "<script>&\x01\xff\xc3\xa4 " + std::string(500, 'x');
  chart.bars[0].label = std::string(300, 'y');
  const std::string svg = Svg(chart);
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;&amp;??\xc3\xa4 xxx"));
  EXPECT_THAT(svg, HasSubstr("xxx...<"));
  EXPECT_THAT(svg, HasSubstr("yyy...<"));
  EXPECT_TRUE(Draw(chart, ImageFormat::kPng).has_value());
}

TEST(CleanText, KeepsValidUtf8Only) {
  EXPECT_EQ(CleanText("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82", 10), "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82");
  EXPECT_EQ(CleanText("\x7f\n\xc2\x80|\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe2\x82", 99), "????|??|???|????|??");
  EXPECT_EQ(CleanText("abcdef", 6), "abcdef");
  EXPECT_EQ(CleanText("abcdefg", 6), "abc...");
}

}  // namespace
}  // namespace kvasir::plot
