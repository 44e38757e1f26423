// The vocabulary of the GGUF format that its reader and writer share: value types, limits, the size of a tensor.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kvasir/result.h"
#include "tensor/dtype.h"

namespace kvasir::files {

static_assert(std::endian::native == std::endian::little, "GGUF files are read in place and are little-endian");

/// The type of a metadata value; the numbers are those in the file.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// The value type of a type id, or nothing for an unknown id.
[[nodiscard]] std::optional<GgufType> GgufTypeFromId(uint32_t id);

/// "U32", "string", "array"...: for messages and listings.
[[nodiscard]] std::string_view GgufTypeName(GgufType type);

/// Bytes of one value of a fixed-size type, 0 for strings and arrays.
[[nodiscard]] size_t GgufTypeBytes(GgufType type);

/// The C++ types that are metadata scalars.
template <typename T>
concept GgufScalar =
    std::same_as<T, uint8_t> || std::same_as<T, int8_t> || std::same_as<T, uint16_t> || std::same_as<T, int16_t> ||
    std::same_as<T, uint32_t> || std::same_as<T, int32_t> || std::same_as<T, uint64_t> || std::same_as<T, int64_t> ||
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, bool>;

/// The value type that stores a T.
template <GgufScalar T>
[[nodiscard]] consteval GgufType GgufTypeOf() {
  if constexpr (std::same_as<T, uint8_t>) return GgufType::kU8;
  if constexpr (std::same_as<T, int8_t>) return GgufType::kI8;
  if constexpr (std::same_as<T, uint16_t>) return GgufType::kU16;
  if constexpr (std::same_as<T, int16_t>) return GgufType::kI16;
  if constexpr (std::same_as<T, uint32_t>) return GgufType::kU32;
  if constexpr (std::same_as<T, int32_t>) return GgufType::kI32;
  if constexpr (std::same_as<T, uint64_t>) return GgufType::kU64;
  if constexpr (std::same_as<T, int64_t>) return GgufType::kI64;
  if constexpr (std::same_as<T, float>) return GgufType::kF32;
  if constexpr (std::same_as<T, double>) return GgufType::kF64;
  if constexpr (std::same_as<T, bool>) return GgufType::kBool;
}

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr std::string_view kAlignmentKey = "general.alignment";
inline constexpr uint32_t kDefaultAlignment = 32;

/// Limits. They bound the memory that a hostile file can make us use, far above what real files need.
inline constexpr uint64_t kMaxKeys = 1u << 16;
inline constexpr uint64_t kMaxTensors = 1u << 20;
inline constexpr uint64_t kMaxKeyBytes = 65535;
inline constexpr uint64_t kMaxTensorNameBytes = 64;
inline constexpr uint64_t kMaxStringBytes = 1u << 30;
inline constexpr uint64_t kMaxArrayElements = 1u << 30;
inline constexpr uint32_t kMinAlignment = 8;
inline constexpr uint32_t kMaxAlignment = 1u << 21;

/// Fails unless `alignment` is a power of two between kMinAlignment and kMaxAlignment.
[[nodiscard]] Status CheckAlignment(uint64_t alignment);

/// Fails unless `key` can be a metadata key.
[[nodiscard]] Status CheckKey(std::string_view key);

/// The bytes of a tensor of `shape` (1 to 4 dimensions, contiguous one first). Fails, naming the tensor, when the name,
/// the shape, or the product of the dimensions cannot be.
[[nodiscard]] Result<size_t> TensorBytes(std::string_view name, tensor::DType dtype, std::span<const int64_t> shape);

/// Text from a file as it may be shown: control characters are escaped, so that a terminal or a log never obeys them,
/// and what exceeds `max_bytes` is replaced by "...". Never cut inside a code point.
[[nodiscard]] std::string Printable(std::string_view text, size_t max_bytes = 100);

/// `offset` rounded up to a multiple of `alignment` (a power of two), or nothing on overflow.
[[nodiscard]] std::optional<uint64_t> AlignUp(uint64_t offset, uint64_t alignment);

}  // namespace kvasir::files
