// A cursor over bytes that nobody has checked yet: no read can leave them.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "kvasir/result.h"

namespace kvasir::files {

/// Reads little-endian values front to back. A read that does not fit fails with kCorrupt and says what was to be read
/// (`what`, a noun phrase), where, how many bytes it needs and how many there are; it does not move the cursor.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] size_t offset() const { return offset_; }
  [[nodiscard]] size_t remaining() const { return bytes_.size() - offset_; }

  template <typename T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] Result<T> Read(std::string_view what) {
    if (remaining() < sizeof(T)) return CutOff(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  [[nodiscard]] Result<std::span<const std::byte>> Take(uint64_t n, std::string_view what) {
    if (n > remaining()) return CutOff(n, what);
    const auto taken = bytes_.subspan(offset_, static_cast<size_t>(n));
    offset_ += taken.size();
    return taken;
  }

  /// A length of eight bytes and as many bytes of text, at most `limit`.
  [[nodiscard]] Result<std::string_view> ReadString(uint64_t limit, std::string_view what) {
    const size_t start = offset_;
    auto text = ReadStringUnwound(limit, what);
    if (!text) offset_ = start;
    return text;
  }

 private:
  Result<std::string_view> ReadStringUnwound(uint64_t limit, std::string_view what) {
    const auto length = Read<uint64_t>(what);
    if (!length) return std::unexpected(length.error());
    if (*length > limit) {
      return Fail(ErrorCode::kCorrupt, fmt::format("{} at byte {} has a length of {} bytes, more than the {} allowed",
                                                   what, offset_ - sizeof(uint64_t), *length, limit));
    }
    const auto text = Take(*length, what);
    if (!text) return std::unexpected(text.error());
    return std::string_view(reinterpret_cast<const char*>(text->data()), text->size());
  }

  std::unexpected<Error> CutOff(uint64_t needed, std::string_view what) const {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("{} at byte {} needs {} bytes, but only {} are left: the file is cut off or damaged, "
                            "get it again",
                            what, offset_, needed, remaining()));
  }

  std::span<const std::byte> bytes_;
  size_t offset_ = 0;
};

}  // namespace kvasir::files
