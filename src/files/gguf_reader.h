// A model in GGUF: one file, or all parts of a split one, mapped and validated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mmap_file.h"
#include "files/gguf_metadata.h"
#include "files/gguf_parser.h"
#include "kvasir/result.h"
#include "tensor/tensor.h"

namespace kvasir::files {

/// Gives the metadata and the tensors of a model as views into the mapped files. Opening reads only the headers; tensor
/// data come from disk when they are touched. Movable, not copyable: views stay valid while the object, moved or not,
/// lives. Const functions may be called from any thread.
class GgufFile {
 public:
  /// Opens `path`. A file named NAME-00002-of-00003.gguf that says it is a part brings its brothers with it, whichever
  /// part is named; metadata are the first part's. Messages begin with the path of the file at fault.
  [[nodiscard]] static Result<GgufFile> Open(const std::string& path);

  GgufFile(GgufFile&&) noexcept = default;
  GgufFile& operator=(GgufFile&&) noexcept = default;

  [[nodiscard]] const GgufMetadata& metadata() const { return metadata_; }

  /// All tensors in file order. Empty for a vocabulary-only file.
  [[nodiscard]] std::span<const tensor::TensorView> tensors() const { return tensors_; }

  /// The tensor called `name`, or null.
  [[nodiscard]] const tensor::TensorView* FindTensor(std::string_view name) const;

  /// The tensor called `name`; kNotFound with the file's path and the name otherwise.
  [[nodiscard]] Result<tensor::TensorView> GetTensor(std::string_view name) const;

  /// The path of the first part.
  [[nodiscard]] const std::string& path() const { return parts_.front().path(); }
  [[nodiscard]] std::span<const base::MmapFile> parts() const { return parts_; }
  [[nodiscard]] uint32_t version() const { return version_; }
  [[nodiscard]] uint32_t alignment() const { return alignment_; }

  /// Bytes of all parts together.
  [[nodiscard]] size_t total_bytes() const;

  /// Tells the kernel how the data of all parts are going to be read.
  void Advise(base::MmapFile::Access access) const;

 private:
  GgufFile() = default;
  Status AddPart(base::MmapFile file, GgufContents contents);
  Status AddTensors(std::span<const tensor::TensorView> tensors, const std::string& path);
  Status AddSplit(const std::string& any_part, uint32_t count);

  std::vector<base::MmapFile> parts_;
  GgufMetadata metadata_;
  std::vector<tensor::TensorView> tensors_;
  std::unordered_map<std::string_view, size_t> tensor_index_;
  uint32_t version_ = 0;
  uint32_t alignment_ = 0;
};

}  // namespace kvasir::files
