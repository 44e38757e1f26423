// Files that are part of the program: the description of the API, and the web page.
#pragma once

#include <span>
#include <string_view>

namespace kvasir::server {

struct EmbeddedFile {
  std::string_view name;  ///< Below src/server: "openapi.json".
  std::string_view content;
};

/// All of them. The list is written by CMake, see CMakeLists.txt.
[[nodiscard]] std::span<const EmbeddedFile> EmbeddedFiles();

}  // namespace kvasir::server
