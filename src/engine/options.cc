#include "kvasir/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <utility>
#include <vector>

#include "base/nearest.h"
#include "engine/calibration_file.h"
#include "engine/engine_impl.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<std::string_view, ComputeMode>, 4> kComputeModes = {
    {{"fast", ComputeMode::kFast},
     {"balanced", ComputeMode::kBalanced},
     {"precise", ComputeMode::kPrecise},
     {"exact", ComputeMode::kExact}}};

template <typename Table>
auto Parse(const Table& table, std::string_view what, std::string_view name)
    -> Result<typename Table::value_type::second_type> {
  std::vector<std::string_view> names;
  for (const auto& [known, value] : table) {
    if (known == name) return value;
    names.push_back(known);
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("unknown {} '{}'; there are {}", what, name, fmt::join(names, ", ")));
}

template <typename Table, typename Value>
std::string_view NameOf(const Table& table, Value value) {
  for (const auto& [name, known] : table) {
    if (known == value) return name;
  }
  return "?";
}

fs::path CacheDirectory() {
  fs::path cache;
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != '\0') {
    cache = xdg;
  } else if (const char* home = std::getenv("HOME"); home != nullptr) {
    cache = fs::path(home) / ".cache";
  }
  return cache / "kvasir";
}

fs::path ModelDirectory() {
  if (const char* own = std::getenv("KVASIR_MODELS"); own != nullptr && *own != '\0') return own;
  return CacheDirectory() / "models";
}

// Models of the same name in two folders have files of their own.
std::string FileOfModel(const char* folder, const std::string& model, const char* ending) {
  std::error_code error;
  fs::path path = fs::weakly_canonical(model, error);
  if (error) path = model;
  const size_t hash = std::hash<std::string>()(path.string());
  return (CacheDirectory() / folder / fmt::format("{}-{:016x}.{}", path.stem().string(), hash, ending)).string();
}

// An encoder, as sentence-transformers keeps it.
bool IsModelFolder(const fs::path& path) {
  std::error_code error;
  return fs::exists(path / "config.json", error) && fs::exists(path / "model.safetensors", error);
}

std::vector<std::string> ModelsIn(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".gguf") names.push_back(it->path().stem().string());
    if (IsModelFolder(it->path())) names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Result<ComputeMode> ParseComputeMode(std::string_view name) {
  return Parse(kComputeModes, "compute mode", name);
}
std::string_view ComputeModeName(ComputeMode mode) {
  return NameOf(kComputeModes, mode);
}

std::string PackedCachePath(const std::string& model) {
  return FileOfModel("packed", model, "packed");
}

std::string CalibrationPath(const std::string& model) {
  return FileOfModel("calibration", model, "gguf");
}

std::string ReceiptCachePath(const std::string& model) {
  return FileOfModel("receipts", model, "kvasir.toml");
}

std::vector<std::string> InstalledModels() {
  return ModelsIn(ModelDirectory());
}

Result<std::string> ResolveModel(std::string_view name_or_path) {
  if (name_or_path.empty()) return Fail(ErrorCode::kInvalidArgument, "no model was named");
  std::error_code error;
  const fs::path path(name_or_path);
  const bool here = fs::exists(path, error);
  // A folder that happens to have a model's name is none.
  if (here && (!fs::is_directory(path, error) || IsModelFolder(path))) return path.string();
  const fs::path directory = ModelDirectory();
  const bool is_name = name_or_path.find('/') == std::string_view::npos;
  if (is_name) {
    const fs::path installed = directory / fmt::format("{}.gguf", name_or_path);
    if (fs::exists(installed, error)) return installed.string();
    if (IsModelFolder(directory / name_or_path)) return (directory / name_or_path).string();
  }
  if (here) return path.string();
  const std::vector<std::string> names = ModelsIn(directory);
  const auto near =
      is_name ? base::Nearest(path.extension() == ".gguf" ? path.stem().string() : path.string(), names) : std::nullopt;
  const std::string known = names.empty()
                                ? fmt::format("no models are installed in {}", directory.string())
                                : fmt::format("installed in {}: {}", directory.string(), fmt::join(names, ", "));
  return Fail(ErrorCode::kNotFound,
              fmt::format("there is no model '{}'{}: it is neither a file nor an installed name ({}); './dev models' "
                          "installs the default ones",
                          name_or_path, near ? fmt::format("; did you mean '{}'?", *near) : "", known));
}

}  // namespace kvasir
