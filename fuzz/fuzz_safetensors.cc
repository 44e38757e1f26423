// Fuzz target: any bytes as a safetensors file. The parser must refuse or accept them without touching a byte outside;
// what it accepts must lie inside, tile the data section and be readable to the last element.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "files/safetensors_parser.h"
#include "tensor/dequantize.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto contents = kvasir::files::ParseSafetensors(bytes);
  if (!contents) return 0;
  const std::byte* end = bytes.data() + bytes.size();
  std::vector<float> row;
  for (const auto& view : contents->tensors) {
    Require(view.data >= bytes.data() + 8 && view.bytes <= static_cast<size_t>(end - view.data));
    Require(view.bytes == static_cast<size_t>(view.rows()) * view.row_bytes());
    Require(std::ranges::find(contents->names, view.name) != contents->names.end());
    if (view.elements() == 0 || !kvasir::tensor::Traits(view.dtype).dequantisable) continue;
    row.resize(static_cast<size_t>(view.row_elements()));  // bounded: its bytes are in the input
    kvasir::tensor::DequantizeRow(view.dtype, view.row(view.rows() - 1), row.data(), view.row_elements());
  }
  return 0;
}
