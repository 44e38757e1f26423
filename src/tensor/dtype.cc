#include "tensor/dtype.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "base/check.h"

namespace kvasir::tensor {
namespace {

constexpr int kLastId = static_cast<int>(DType::kQ2_0);

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

std::optional<DType> FromGgufId(int64_t id) {
  if (id < 0 || id > kLastId) return std::nullopt;
  const auto dtype = static_cast<DType>(id);
  if (Traits(dtype).name.empty()) return std::nullopt;
  return dtype;
}

std::optional<DType> DTypeFromName(std::string_view name) {
  for (int id = 0; id <= kLastId; ++id) {
    const auto dtype = FromGgufId(id);
    if (dtype && EqualIgnoringCase(DTypeName(*dtype), name)) return dtype;
  }
  return std::nullopt;
}

Result<size_t> RowBytes(DType dtype, int64_t n) {
  const DTypeTraits traits = Traits(dtype);
  if (traits.name.empty()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is no element type", static_cast<int>(dtype)));
  }
  if (n < 0 || n % traits.block_elements != 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a row of {} elements cannot be stored as {}: its length must be a multiple of {}", n,
                            traits.name, traits.block_elements));
  }
  const auto blocks = static_cast<uint64_t>(n / traits.block_elements);
  if (blocks > std::numeric_limits<size_t>::max() / static_cast<uint64_t>(traits.block_bytes)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a row of {} elements of {} needs more bytes than a machine can address", n, traits.name));
  }
  return blocks * static_cast<size_t>(traits.block_bytes);
}

size_t ValidRowBytes(DType dtype, int64_t n) {
  const auto bytes = RowBytes(dtype, n);
  KV_CHECK(bytes.has_value());
  return *bytes;
}

}  // namespace kvasir::tensor
