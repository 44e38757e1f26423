// The key-value part of a GGUF file, decoded on demand from the file's own bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "files/gguf.h"
#include "kvasir/result.h"

namespace kvasir::files {

/// One metadata value, as a view of validated bytes. It lives as long as the file's mapping.
struct GgufValue {
  GgufType type = GgufType::kU8;
  GgufType element_type = GgufType::kU8;  ///< Of an array; otherwise equal to `type`.
  uint64_t count = 1;                     ///< Elements of an array; otherwise 1.
  std::span<const std::byte> elements;    ///< The encoded elements, without an array's own header.

  [[nodiscard]] bool is_array() const { return type == GgufType::kArray; }
};

/// Keys and values in the order of the file, each key once.
///
/// The getters are how a model reads its parameters. A key that is absent is an error (kNotFound) unless a fallback is
/// given; a value of another type, or one that does not fit, is an error (kCorrupt) even then. Any integer type is
/// accepted for an integer, F32 and F64 for a float; nothing else is converted, so an array of U8 is never read as
/// floats. Messages name the key and the value. Const functions may be called from any thread.
class GgufMetadata {
 public:
  struct Entry {
    std::string_view key;
    GgufValue value;
  };

  [[nodiscard]] std::span<const Entry> entries() const { return entries_; }

  /// The value of `key`, or null.
  [[nodiscard]] const GgufValue* Find(std::string_view key) const;
  [[nodiscard]] bool Has(std::string_view key) const { return Find(key) != nullptr; }

  [[nodiscard]] Result<uint32_t> GetU32(std::string_view key, std::optional<uint32_t> fallback = {}) const;
  [[nodiscard]] Result<int32_t> GetI32(std::string_view key, std::optional<int32_t> fallback = {}) const;
  [[nodiscard]] Result<uint64_t> GetU64(std::string_view key, std::optional<uint64_t> fallback = {}) const;
  [[nodiscard]] Result<int64_t> GetI64(std::string_view key, std::optional<int64_t> fallback = {}) const;
  [[nodiscard]] Result<float> GetF32(std::string_view key, std::optional<float> fallback = {}) const;
  [[nodiscard]] Result<bool> GetBool(std::string_view key, std::optional<bool> fallback = {}) const;
  [[nodiscard]] Result<std::string_view> GetString(std::string_view key,
                                                   std::optional<std::string_view> fallback = {}) const;

  /// Whole arrays. The string_views point into the file; 262,144 of them take about 2 ms.
  [[nodiscard]] Result<std::vector<int64_t>> GetIntegers(std::string_view key) const;
  [[nodiscard]] Result<std::vector<float>> GetFloats(std::string_view key) const;
  [[nodiscard]] Result<std::vector<bool>> GetBools(std::string_view key) const;
  [[nodiscard]] Result<std::vector<std::string_view>> GetStrings(std::string_view key) const;

  /// Adds a validated value. False, and no change, if the key is there already.
  [[nodiscard]] bool Insert(std::string_view key, const GgufValue& value);

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, size_t> index_;
};

/// The value as one line of text: scalars in full, strings quoted and Printable(), at most `max_items` array elements
/// and `max_text` bytes of a string, with "..." for the rest.
[[nodiscard]] std::string FormatValue(const GgufValue& value, size_t max_items = 8, size_t max_text = 120);

}  // namespace kvasir::files
