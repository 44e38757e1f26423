#include "cli/plot_file.h"

#include <CLI/CLI.hpp>

#include "cli/flags.h"

namespace kvasir::cli {

void AddPlotFlag(CLI::App& app, const std::string& what, std::string& path) {
  AddValue(app, "--plot", "FILE", "draw " + what + "; the name ends in .svg or .png",
           [&path](std::string_view text) -> Status {
             KV_TRY(plot::FormatOf(text));
             path = text;
             return {};
           });
}

}  // namespace kvasir::cli
