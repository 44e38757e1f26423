#include "files/gguf_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace kvasir::files {
namespace {

template <typename T>
T Load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Calls `visit` with the integer stored at `bytes`. False if `type` is no integer type.
template <typename Visit>
bool VisitInteger(GgufType type, const std::byte* bytes, Visit visit) {
  switch (type) {
    case GgufType::kU8: visit(Load<uint8_t>(bytes)); return true;
    case GgufType::kI8: visit(Load<int8_t>(bytes)); return true;
    case GgufType::kU16: visit(Load<uint16_t>(bytes)); return true;
    case GgufType::kI16: visit(Load<int16_t>(bytes)); return true;
    case GgufType::kU32: visit(Load<uint32_t>(bytes)); return true;
    case GgufType::kI32: visit(Load<int32_t>(bytes)); return true;
    case GgufType::kU64: visit(Load<uint64_t>(bytes)); return true;
    case GgufType::kI64: visit(Load<int64_t>(bytes)); return true;
    default: return false;
  }
}

bool IsInteger(GgufType type) {
  const std::byte zero[8] = {};
  return VisitInteger(type, zero, [](auto) {});
}

bool IsFloat(GgufType type) {
  return type == GgufType::kF32 || type == GgufType::kF64;
}

float LoadFloat(GgufType type, const std::byte* bytes) {
  return type == GgufType::kF32 ? Load<float>(bytes) : static_cast<float>(Load<double>(bytes));
}

/// The string at the front of `bytes`, which were validated, and removes it from them.
std::string_view PopString(std::span<const std::byte>& bytes) {
  const auto length = static_cast<size_t>(Load<uint64_t>(bytes.data()));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof(uint64_t), length);
  bytes = bytes.subspan(sizeof(uint64_t) + length);
  return text;
}

std::unexpected<Error> Missing(std::string_view key) {
  return Fail(ErrorCode::kNotFound, fmt::format("the metadata has no key {}", key));
}

std::unexpected<Error> WrongType(std::string_view key, const GgufValue& value, std::string_view wanted) {
  const std::string actual = value.is_array() ? fmt::format("an array of {}", GgufTypeName(value.element_type))
                                              : fmt::format("of type {}", GgufTypeName(value.type));
  return Fail(ErrorCode::kCorrupt, fmt::format("metadata key {} is {}, but must be {}", key, actual, wanted));
}

template <typename T>
Result<T> GetInteger(const GgufMetadata& metadata, std::string_view key, std::optional<T> fallback) {
  const GgufValue* value = metadata.Find(key);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return Missing(key);
  }
  std::optional<T> result;
  const bool is_integer = VisitInteger(value->type, value->elements.data(), [&](auto stored) {
    if (std::in_range<T>(stored)) result = static_cast<T>(stored);
  });
  if (!is_integer) return WrongType(key, *value, "an integer");
  if (!result) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("metadata key {} is {}, but must be between {} and {}", key, FormatValue(*value),
                            std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
  return *result;
}

/// The array under `key` if its elements satisfy `accepts`.
template <typename Accepts>
Result<const GgufValue*> GetArray(const GgufMetadata& metadata, std::string_view key, Accepts accepts,
                                  std::string_view wanted) {
  const GgufValue* value = metadata.Find(key);
  if (value == nullptr) return Missing(key);
  if (!value->is_array() || !accepts(value->element_type)) return WrongType(key, *value, wanted);
  return value;
}

std::string FormatElement(GgufType type, const std::byte* bytes) {
  std::string text;
  if (VisitInteger(type, bytes, [&](auto value) { text = fmt::format("{}", value); })) return text;
  if (type == GgufType::kBool) return Load<uint8_t>(bytes) != 0 ? "true" : "false";
  if (type == GgufType::kF32) return fmt::format("{}", Load<float>(bytes));
  return fmt::format("{}", Load<double>(bytes));
}

}  // namespace

const GgufValue* GgufMetadata::Find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

bool GgufMetadata::Insert(std::string_view key, const GgufValue& value) {
  if (!index_.emplace(key, entries_.size()).second) return false;
  entries_.push_back({key, value});
  return true;
}

Result<uint32_t> GgufMetadata::GetU32(std::string_view key, std::optional<uint32_t> fallback) const {
  return GetInteger<uint32_t>(*this, key, fallback);
}

Result<int32_t> GgufMetadata::GetI32(std::string_view key, std::optional<int32_t> fallback) const {
  return GetInteger<int32_t>(*this, key, fallback);
}

Result<uint64_t> GgufMetadata::GetU64(std::string_view key, std::optional<uint64_t> fallback) const {
  return GetInteger<uint64_t>(*this, key, fallback);
}

Result<int64_t> GgufMetadata::GetI64(std::string_view key, std::optional<int64_t> fallback) const {
  return GetInteger<int64_t>(*this, key, fallback);
}

Result<float> GgufMetadata::GetF32(std::string_view key, std::optional<float> fallback) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return Missing(key);
  }
  if (!IsFloat(value->type)) return WrongType(key, *value, "a float");
  return LoadFloat(value->type, value->elements.data());
}

Result<bool> GgufMetadata::GetBool(std::string_view key, std::optional<bool> fallback) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return Missing(key);
  }
  if (value->type != GgufType::kBool) return WrongType(key, *value, "true or false");
  return Load<uint8_t>(value->elements.data()) != 0;
}

Result<std::string_view> GgufMetadata::GetString(std::string_view key, std::optional<std::string_view> fallback) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) {
    if (fallback) return *fallback;
    return Missing(key);
  }
  if (value->type != GgufType::kString) return WrongType(key, *value, "a string");
  std::span<const std::byte> bytes = value->elements;
  return PopString(bytes);
}

Result<std::vector<int64_t>> GgufMetadata::GetIntegers(std::string_view key) const {
  const auto array = GetArray(*this, key, IsInteger, "an array of integers");
  if (!array) return std::unexpected(array.error());
  const GgufType type = (*array)->element_type;
  std::vector<int64_t> values((*array)->count);
  const std::byte* bytes = (*array)->elements.data();
  bool fits = true;
  for (int64_t& value : values) {
    VisitInteger(type, bytes, [&](auto stored) {
      fits = fits && std::in_range<int64_t>(stored);
      value = static_cast<int64_t>(+stored);
    });
    bytes += GgufTypeBytes(type);
  }
  if (!fits) return Fail(ErrorCode::kCorrupt, fmt::format("metadata key {} holds an integer above 2^63 - 1", key));
  return values;
}

Result<std::vector<float>> GgufMetadata::GetFloats(std::string_view key) const {
  const auto array = GetArray(*this, key, IsFloat, "an array of floats");
  if (!array) return std::unexpected(array.error());
  const GgufType type = (*array)->element_type;
  std::vector<float> values((*array)->count);
  const std::byte* bytes = (*array)->elements.data();
  for (float& value : values) {
    value = LoadFloat(type, bytes);
    bytes += GgufTypeBytes(type);
  }
  return values;
}

Result<std::vector<bool>> GgufMetadata::GetBools(std::string_view key) const {
  const auto is_bool = [](GgufType type) { return type == GgufType::kBool; };
  const auto array = GetArray(*this, key, is_bool, "an array of true and false");
  if (!array) return std::unexpected(array.error());
  std::vector<bool> values;
  values.reserve((*array)->count);
  for (const std::byte byte : (*array)->elements) values.push_back(byte != std::byte{0});
  return values;
}

Result<std::vector<std::string_view>> GgufMetadata::GetStrings(std::string_view key) const {
  const auto is_string = [](GgufType type) { return type == GgufType::kString; };
  const auto array = GetArray(*this, key, is_string, "an array of strings");
  if (!array) return std::unexpected(array.error());
  std::vector<std::string_view> values;
  values.reserve((*array)->count);
  std::span<const std::byte> bytes = (*array)->elements;
  for (uint64_t i = 0; i < (*array)->count; ++i) values.push_back(PopString(bytes));
  return values;
}

std::string FormatValue(const GgufValue& value, size_t max_items, size_t max_text) {
  std::span<const std::byte> bytes = value.elements;
  std::string text = value.is_array() ? "[" : "";
  const auto shown = std::min<uint64_t>(value.count, max_items);
  for (uint64_t i = 0; i < (value.is_array() ? shown : 1); ++i) {
    if (i > 0) text += ", ";
    if (value.element_type == GgufType::kString) {
      text += fmt::format("\"{}\"", Printable(PopString(bytes), max_text));
    } else {
      text += FormatElement(value.element_type, bytes.data());
      bytes = bytes.subspan(GgufTypeBytes(value.element_type));
    }
  }
  if (!value.is_array()) return text;
  return text + (value.count > shown ? fmt::format(", ... {} in all]", value.count) : "]");
}

}  // namespace kvasir::files
