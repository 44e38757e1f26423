#include "files/gguf.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/check.h"
#include "tensor/tensor.h"

namespace kvasir::files {

std::optional<GgufType> GgufTypeFromId(uint32_t id) {
  if (id > static_cast<uint32_t>(GgufType::kF64)) return std::nullopt;
  return static_cast<GgufType>(id);
}

std::string_view GgufTypeName(GgufType type) {
  switch (type) {
    case GgufType::kU8: return "U8";
    case GgufType::kI8: return "I8";
    case GgufType::kU16: return "U16";
    case GgufType::kI16: return "I16";
    case GgufType::kU32: return "U32";
    case GgufType::kI32: return "I32";
    case GgufType::kF32: return "F32";
    case GgufType::kBool: return "bool";
    case GgufType::kString: return "string";
    case GgufType::kArray: return "array";
    case GgufType::kU64: return "U64";
    case GgufType::kI64: return "I64";
    case GgufType::kF64: return "F64";
  }
  return "unknown";
}

size_t GgufTypeBytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool: return 1;
    case GgufType::kU16:
    case GgufType::kI16: return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32: return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64: return 8;
    case GgufType::kString:
    case GgufType::kArray: return 0;
  }
  return 0;
}

Status CheckAlignment(uint64_t alignment) {
  if (!std::has_single_bit(alignment) || alignment < kMinAlignment || alignment > kMaxAlignment) {
    return Fail(ErrorCode::kCorrupt, fmt::format("{} is {}, but must be a power of two from {} to {}", kAlignmentKey,
                                                 alignment, kMinAlignment, kMaxAlignment));
  }
  return {};
}

Status CheckKey(std::string_view key) {
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("a metadata key has {} bytes, but must have 1 to {}", key.size(), kMaxKeyBytes));
  }
  return {};
}

std::string Printable(std::string_view text, size_t max_bytes) {
  size_t shown = std::min(text.size(), max_bytes);
  while (shown > 0 && shown < text.size() && (text[shown] & 0xc0) == 0x80) --shown;
  std::string printable;
  for (const char c : text.substr(0, shown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      printable += c;
    } else if (c == '\n') {
      printable += "\\n";
    } else {
      printable += fmt::format("\\x{:02x}", byte);
    }
  }
  if (shown < text.size()) printable += "...";
  return printable;
}

Result<size_t> TensorBytes(std::string_view raw_name, tensor::DType dtype, std::span<const int64_t> shape) {
  if (raw_name.empty() || raw_name.size() > kMaxTensorNameBytes) {
    return Fail(ErrorCode::kCorrupt, fmt::format("a tensor's name has {} bytes, but must have 1 to {}", raw_name.size(),
                                                 kMaxTensorNameBytes));
  }
  const std::string name = Printable(raw_name);
  if (shape.empty() || shape.size() > tensor::kMaxDims) {
    return Fail(ErrorCode::kCorrupt, fmt::format("tensor {} has {} dimensions, but must have 1 to {}", name,
                                                 shape.size(), tensor::kMaxDims));
  }
  int64_t elements = 1;
  for (const int64_t dim : shape) {
    if (dim <= 0) {
      return Fail(ErrorCode::kCorrupt, fmt::format("tensor {} has shape [{}]: every dimension must be at least 1", name,
                                                   fmt::join(shape, ", ")));
    }
    if (__builtin_mul_overflow(elements, dim, &elements)) {
      return Fail(ErrorCode::kCorrupt,
                  fmt::format("tensor {} has shape [{}]: more elements than 2^63", name, fmt::join(shape, ", ")));
    }
  }
  const auto row = tensor::RowBytes(dtype, shape[0]);
  if (!row) return Fail(ErrorCode::kCorrupt, fmt::format("tensor {}: {}", name, row.error().message));
  size_t bytes = 0;
  if (__builtin_mul_overflow(*row, static_cast<size_t>(elements / shape[0]), &bytes)) {
    return Fail(ErrorCode::kCorrupt, fmt::format("tensor {} has shape [{}]: more bytes of {} than 2^64", name,
                                                 fmt::join(shape, ", "), tensor::DTypeName(dtype)));
  }
  return bytes;
}

std::optional<uint64_t> AlignUp(uint64_t offset, uint64_t alignment) {
  uint64_t bumped = 0;
  if (__builtin_add_overflow(offset, alignment - 1, &bumped)) return std::nullopt;
  return bumped & ~(alignment - 1);
}

}  // namespace kvasir::files
