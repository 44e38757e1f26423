// --plot: a chart of the result, as a file.
#pragma once

#include <string>

#include "base/check.h"
#include "cli/output.h"
#include "plot/chart.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvasir::cli {

/// Adds --plot; the value has to end in .svg or .png. `what` is what the chart shows.
void AddPlotFlag(CLI::App& app, const std::string& what, std::string& path);

/// Before a long measurement: whether a file can be made at `path`, which may be empty. Errors: kIo, naming the folder.
[[nodiscard]] Status CheckPlotFolder(const std::string& path);

/// Draws `chart` into `path`, as a whole or not at all; does nothing where `path` is empty.
template <typename Chart>
[[nodiscard]] Status WritePlot(const std::string& path, const Chart& chart) {
  if (path.empty()) return {};
  KV_ASSIGN(const plot::ImageFormat format, plot::FormatOf(path));
  KV_ASSIGN(const std::string bytes, plot::Draw(chart, format));
  return WriteFileAtomically(path, bytes);
}

}  // namespace kvasir::cli
