// One GGUF file in memory, checked byte by byte: the part of the reader that a fuzzer can hold in its hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "files/gguf_metadata.h"
#include "kvasir/result.h"
#include "tensor/tensor.h"

namespace kvasir::files {

/// What a GGUF file says. All views point into the bytes that were parsed.
struct GgufContents {
  uint32_t version = 0;
  uint32_t alignment = kDefaultAlignment;
  size_t data_offset = 0;  ///< Where the data section begins; the size of the header when there are no tensors.
  GgufMetadata metadata;
  std::vector<tensor::TensorView> tensors;  ///< In the order of the file.
};

/// Parses the whole of a file. `bytes` starts at an address that is a multiple of 8 and outlives the result.
///
/// Everything that the result shows was validated: strings, arrays and tensors lie inside `bytes`, booleans are 0 or 1,
/// names and keys are unique, shapes multiply without overflow, tensor data follow each other without gap or overlap.
/// Memory used is bounded by the limits in gguf.h and by a small multiple of `bytes`. Messages do not name the file.
[[nodiscard]] Result<GgufContents> ParseGguf(std::span<const std::byte> bytes);

}  // namespace kvasir::files
