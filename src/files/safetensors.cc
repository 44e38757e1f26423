#include "files/safetensors.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "files/gguf.h"

namespace kvasir::files {

SafetensorsFile::SafetensorsFile(base::MmapFile file, SafetensorsContents contents)
    : file_(std::move(file)), contents_(std::move(contents)) {
  for (size_t i = 0; i < contents_.tensors.size(); ++i) index_.emplace(contents_.tensors[i].name, i);
}

Result<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  KV_ASSIGN(base::MmapFile file, base::MmapFile::Open(path));
  auto contents = ParseSafetensors(file.span());
  if (!contents) return Fail(contents.error().code, fmt::format("{}: {}", path, contents.error().message));
  return SafetensorsFile(std::move(file), std::move(*contents));
}

const tensor::TensorView* SafetensorsFile::FindTensor(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &contents_.tensors[found->second];
}

Result<tensor::TensorView> SafetensorsFile::GetTensor(std::string_view name) const {
  if (const tensor::TensorView* view = FindTensor(name)) return *view;
  for (const SafetensorsContents::Foreign& foreign : contents_.foreign) {
    if (foreign.name != name) continue;
    return Fail(ErrorCode::kUnsupported, fmt::format("{}: tensor {} has type {}, which Kvasir cannot compute with",
                                                     path(), Printable(name), foreign.type));
  }
  return Fail(ErrorCode::kNotFound, fmt::format("{}: there is no tensor {}", path(), Printable(name)));
}

}  // namespace kvasir::files
