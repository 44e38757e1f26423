// One safetensors file in memory, checked byte by byte: the part of the reader that a fuzzer can hold in its hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvasir/result.h"
#include "tensor/tensor.h"

namespace kvasir::files {

/// Limits. They bound the memory that a hostile file can make us use, far above what real files need; the first is the
/// format's own.
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;
inline constexpr size_t kMaxSafetensorsTensors = size_t{1} << 16;
inline constexpr size_t kMaxSafetensorsName = 1024;

/// What a safetensors file says. Views point into the bytes that were parsed, and their names into this object, which
/// may be moved but not copied.
struct SafetensorsContents {
  SafetensorsContents() = default;
  SafetensorsContents(SafetensorsContents&&) noexcept = default;
  SafetensorsContents& operator=(SafetensorsContents&&) noexcept = default;
  SafetensorsContents(const SafetensorsContents&) = delete;
  SafetensorsContents& operator=(const SafetensorsContents&) = delete;

  /// A tensor of an element type that has no meaning here (BOOL, U8, F8_E4M3...): its bytes were checked like all
  /// others.
  struct Foreign {
    std::string_view name;
    std::string_view type;
  };

  std::vector<std::pair<std::string, std::string>> metadata;  ///< __metadata__, in the order of the file.
  std::vector<tensor::TensorView> tensors;                    ///< In the order of their bytes.
  std::vector<Foreign> foreign;
  std::vector<std::string> names;  ///< What the views' names point to.
};

/// Parses the whole of a file, which must outlive the result.
///
/// Everything that the result shows was validated: the header is one JSON object of the format's shape and nothing
/// else, names are unique, shapes multiply without overflow, each tensor has exactly the bytes of its type and shape,
/// and together they fill the data section without gap or overlap. Shapes are given as TensorView has them, contiguous
/// dimension first; a scalar has one element, and a dimension may be 0. Memory used is bounded by a small multiple of
/// the header. Messages do not name the file. Errors: kCorrupt; kUnsupported for more than tensor::kMaxDims dimensions.
[[nodiscard]] Result<SafetensorsContents> ParseSafetensors(std::span<const std::byte> bytes);

}  // namespace kvasir::files
