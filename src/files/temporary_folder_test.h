// A folder of its own for each test, gone when the test ends.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace kvasir::files {

class TemporaryFolderTest : public testing::Test {
 protected:
  TemporaryFolderTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              ("kvasir_files_test." + std::to_string(getpid()) + "." + info->test_suite_name() + "." + info->name());
    std::filesystem::create_directories(folder_);
  }
  ~TemporaryFolderTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string Path(std::string_view name) const { return (folder_ / name).string(); }

  std::string WriteFile(std::string_view name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return Path(name);
  }

  [[nodiscard]] static std::string ReadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  std::filesystem::path folder_;
};

/// Where the developer setup keeps models/ and venv/: ${XDG_CACHE_HOME:-~/.cache}/kvasir.
inline std::filesystem::path CacheFolder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    return std::filesystem::path(cache) / "kvasir";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "/" : home) / ".cache" / "kvasir";
}

}  // namespace kvasir::files
