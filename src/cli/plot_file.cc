#include "cli/plot_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

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

Status CheckPlotFolder(const std::string& path) {
  if (path.empty()) return {};
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  if (access(folder.c_str(), W_OK | X_OK) == 0) return {};
  return Fail(ErrorCode::kIo, fmt::format("{} cannot be written: the folder {} does not exist or is not writable", path,
                                          folder.string()));
}

}  // namespace kvasir::cli
