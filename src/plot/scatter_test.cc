#include "plot/scatter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>

#include "plot/drawing.h"

namespace kvasir::plot {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ScatterChart Frontier() {
  return {.title = "A frontier",
          .subtitle = "of two things",
          .x_label = "bits",
          .panels = {{.y_label = "nats",
                      .logarithmic = true,
                      .points = {{.label = "f16", .x = 16, .y = 0.00002, .range = {}, .on_line = true},
                                 {.label = "ch4", .x = 4.5, .y = 0.002, .range = Range{0.001, 0.003}, .on_line = true},
                                 {.label = "zero", .x = 8, .y = 0, .range = {}}}},
                     {.y_label = "tokens/s", .points = {{.label = "f16", .x = 16, .y = 70, .range = {}}}}}};
}

std::string Svg(const ScatterChart& chart) {
  return Draw(chart, ImageFormat::kSvg).value();
}

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Where the texts of the chart stand, as they are laid out: widths by the letter.
struct Placed {
  std::string text;
  double left, right, y;
};
std::vector<Placed> Labels(const std::string& svg, const std::string& pattern) {
  std::vector<Placed> labels;
  const std::regex text("<text[^>]*x=\"([0-9.-]+)\" y=\"([0-9.-]+)\"[^>]*>(" + pattern + ")</text>");
  for (auto it = std::sregex_iterator(svg.begin(), svg.end(), text); it != std::sregex_iterator(); ++it) {
    const double x = std::stod((*it)[1]);
    const std::string label = (*it)[3];
    const double width = static_cast<double>(label.size()) * 11 * kLetter;
    const bool end = it->str().find("end") != std::string::npos;
    labels.push_back({label, end ? x - width : x, end ? x : x + width, std::stod((*it)[2])});
  }
  return labels;
}

TEST(ScatterChart, ShowsTitlesAxesNamesAndPoints) {
  const std::string svg = Svg(Frontier());
  for (const char* text : {">A frontier<", ">of two things<", ">bits<", ">nats<", ">tokens/s<", ">f16<", ">ch4<",
                           ">zero<", ">0.01<", ">1e-05<", ">16<", ">80<"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  EXPECT_EQ(CountOf(svg, "<polygon class=\"fill\""), 4u);
  EXPECT_EQ(CountOf(svg, "class=\"data\""), 1u);  // the line through two of them
  EXPECT_EQ(svg, Svg(Frontier()));
}

TEST(ScatterChart, NamesDoNotLieUponEachOther) {
  ScatterChart chart = Frontier();
  chart.panels.resize(1);
  chart.panels.front().points.clear();
  for (int i = 0; i < 16; ++i) {
    chart.panels.front().points.push_back(
        {.label = "name" + std::to_string(i), .x = 4 + 0.01 * i, .y = 0.002, .range = Range{0.0019, 0.0021}});
  }
  const std::vector<Placed> labels = Labels(Svg(chart), "name[0-9]+");
  ASSERT_EQ(labels.size(), 16u);
  for (size_t i = 0; i < labels.size(); ++i) {
    EXPECT_GE(labels[i].left, 0);
    EXPECT_LE(labels[i].right, kWidth);
    for (size_t j = 0; j < i; ++j) {
      const bool beside = labels[i].right <= labels[j].left || labels[j].right <= labels[i].left;
      EXPECT_TRUE(beside || std::abs(labels[i].y - labels[j].y) >= 11) << labels[i].text << " " << labels[j].text;
    }
  }
}

TEST(ScatterChart, LowerValuesAreLowerOnALogarithmicAxis) {
  ScatterChart chart = Frontier();
  chart.panels.resize(1);
  chart.panels.front().points = {{.label = "high", .x = 2, .y = 0.5, .range = {}},
                                 {.label = "middle", .x = 8, .y = 0.05, .range = {}},
                                 {.label = "low", .x = 14, .y = 0.005, .range = {}},
                                 {.label = "none", .x = 11, .y = 0, .range = {}}};
  const std::string svg = Svg(chart);
  const auto y = [&](const char* name) { return Labels(svg, name).at(0).y; };
  EXPECT_NEAR(y("low") - y("middle"), y("middle") - y("high"), 0.1);
  EXPECT_GT(y("low"), y("middle"));
  EXPECT_GE(y("none") + 14, y("low"));  // on the lowest line
}

TEST(ScatterChart, LeavesOutWhatIsNoNumber) {
  ScatterChart chart = Frontier();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  chart.panels[0].points.push_back({.label = "lost", .x = 3, .y = nan, .range = {}});
  chart.panels[0].points[1].range = Range{nan, 1};
  const std::string svg = Svg(chart);
  EXPECT_THAT(svg, Not(HasSubstr("lost")));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(Svg({}), HasSubstr("</svg>"));
  ScatterChart nothing;
  nothing.panels.resize(2);
  nothing.panels[0].logarithmic = true;
  EXPECT_THAT(Svg(nothing), Not(HasSubstr("nan")));
}

TEST(ScatterChart, PngIsAPictureOfTwiceTheSize) {
  const auto png = Draw(Frontier(), ImageFormat::kPng);
  ASSERT_TRUE(png.has_value());
  EXPECT_TRUE(png->starts_with("\x89PNG\r\n\x1a\n"));
  const auto byte = [&](size_t i) { return static_cast<unsigned char>((*png)[i]); };
  EXPECT_EQ(byte(18) * 256 + byte(19), 2 * kWidth);
}

}  // namespace
}  // namespace kvasir::plot
