// Test support: safetensors files, right and wrong, as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::files {

/// The bytes of a file with this header and data, whatever they say. Exactly sized, so that the sanitizers see a read
/// of the next byte.
inline std::vector<std::byte> SafetensorsBytes(std::string_view header, std::string_view data, uint64_t claimed) {
  std::string text(reinterpret_cast<const char*>(&claimed), sizeof claimed);
  text += header;
  text += data;
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}
inline std::vector<std::byte> SafetensorsBytes(std::string_view header, std::string_view data) {
  return SafetensorsBytes(header, data, header.size());
}

}  // namespace kvasir::files
