// Builds GGUF files byte by byte, right or wrong, for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/gguf.h"

namespace kvasir::files {

/// A growing string of bytes with the format's primitives. Nothing is checked: that is the point.
class GgufBytes {
 public:
  /// Begins with a header of version 3.
  GgufBytes(uint64_t tensors, uint64_t keys) { Raw(kGgufMagic).Put(uint32_t{3}).Put(tensors).Put(keys); }
  GgufBytes() = default;

  template <typename T>
  GgufBytes& Put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufBytes& Raw(std::string_view bytes) {
    text_ += bytes;
    return *this;
  }
  GgufBytes& Text(std::string_view text) { return Put(uint64_t{text.size()}).Raw(text); }

  /// A key and its type; the value follows.
  GgufBytes& Key(std::string_view key, GgufType type) { return Text(key).Put(static_cast<uint32_t>(type)); }
  template <GgufScalar T>
  GgufBytes& Pair(std::string_view key, T value) {
    return Key(key, GgufTypeOf<T>()).Put(value);
  }
  GgufBytes& Array(std::string_view key, GgufType element, uint64_t count) {
    return Key(key, GgufType::kArray).Put(static_cast<uint32_t>(element)).Put(count);
  }
  GgufBytes& Tensor(std::string_view name, const std::vector<int64_t>& shape, uint32_t type, uint64_t offset) {
    Text(name).Put(static_cast<uint32_t>(shape.size()));
    for (const int64_t dim : shape) Put(dim);
    return Put(type).Put(offset);
  }
  GgufBytes& Pad(size_t alignment) {
    while (text_.size() % alignment != 0) text_ += '\0';
    return *this;
  }
  GgufBytes& Fill(size_t n) {
    text_.append(n, '\x11');
    return *this;
  }

  [[nodiscard]] const std::string& text() const { return text_; }

  /// A copy at an aligned address of exactly these bytes, so that the sanitizers see a read of the next one.
  [[nodiscard]] std::vector<std::byte> Copy() const {
    const auto bytes = std::as_bytes(std::span(text_));
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::string text_;
};

}  // namespace kvasir::files
