// Fuzz target: any bytes as a GGUF file. The parser must refuse or accept them without touching a byte outside; what it
// accepts must be readable through every getter, and encode again to a file that says the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "files/gguf_parser.h"
#include "files/gguf_writer.h"
#include "tensor/dequantize.h"

namespace {

using kvasir::files::GgufContents;
using kvasir::files::GgufHeader;
using kvasir::files::ParseGguf;

void Require(bool condition) {
  if (!condition) std::abort();
}

void ReadAll(const GgufContents& contents) {
  for (const auto& [key, value] : contents.metadata.entries()) {
    Require(contents.metadata.Find(key) != nullptr);
    (void)kvasir::files::FormatValue(value);
    (void)contents.metadata.GetU32(key);
    (void)contents.metadata.GetI64(key, 0);
    (void)contents.metadata.GetF32(key);
    (void)contents.metadata.GetBool(key);
    (void)contents.metadata.GetString(key);
    (void)contents.metadata.GetIntegers(key);
    (void)contents.metadata.GetFloats(key);
    (void)contents.metadata.GetBools(key);
    (void)contents.metadata.GetStrings(key);
  }
  std::vector<float> row;
  for (const auto& view : contents.tensors) {
    Require(view.bytes == static_cast<size_t>(view.rows()) * view.row_bytes());
    if (!kvasir::tensor::Traits(view.dtype).dequantisable) continue;
    row.resize(static_cast<size_t>(view.row_elements()));  // bounded: its bytes are in the input
    kvasir::tensor::DequantizeRow(view.dtype, view.row(view.rows() - 1), row.data(), view.row_elements());
  }
}

void RoundTrip(const GgufContents& contents) {
  GgufHeader header;
  for (const auto& [key, value] : contents.metadata.entries()) header.SetValue(key, value);
  for (const auto& view : contents.tensors) {
    header.AddTensor(view.name, view.dtype, std::span(view.shape).first(static_cast<size_t>(view.dims)));
  }
  auto encoded = header.Encode();
  Require(encoded.has_value());
  for (const auto& view : contents.tensors) {
    encoded->append(reinterpret_cast<const char*>(view.data), view.bytes);
    encoded->append((contents.alignment - encoded->size() % contents.alignment) % contents.alignment, '\0');
  }
  const auto again = ParseGguf(std::as_bytes(std::span(*encoded)));
  Require(again.has_value());
  Require(again->metadata.entries().size() == contents.metadata.entries().size());
  Require(std::ranges::equal(again->tensors, contents.tensors, [](const auto& a, const auto& b) {
    return a.name == b.name && a.shape == b.shape && a.dtype == b.dtype && std::ranges::equal(a.span(), b.span());
  }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto contents = ParseGguf(std::as_bytes(std::span(data, size)));
  if (!contents) return 0;
  ReadAll(*contents);
  RoundTrip(*contents);
  return 0;
}
