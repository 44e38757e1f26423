// A model's weights in a safetensors file, mapped and validated.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/mmap_file.h"
#include "files/safetensors_parser.h"
#include "kvasir/result.h"
#include "tensor/tensor.h"

namespace kvasir::files {

/// Gives the tensors of one file as views into its mapping. Opening reads only the header; data come from disk when
/// they are touched. Movable, not copyable: views stay valid while the object, moved or not, lives. Const functions may
/// be called from any thread.
class SafetensorsFile {
 public:
  /// Errors as MmapFile::Open and ParseSafetensors; messages begin with the path.
  [[nodiscard]] static Result<SafetensorsFile> Open(const std::string& path);

  [[nodiscard]] std::span<const tensor::TensorView> tensors() const { return contents_.tensors; }
  [[nodiscard]] const SafetensorsContents& contents() const { return contents_; }
  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] size_t total_bytes() const { return file_.size(); }

  /// The tensor called `name`, or null.
  [[nodiscard]] const tensor::TensorView* FindTensor(std::string_view name) const;
  /// The same, with an error that names file and tensor: kNotFound, or kUnsupported where it is of a type that has no
  /// meaning here.
  [[nodiscard]] Result<tensor::TensorView> GetTensor(std::string_view name) const;

  /// Tells the kernel how the data are going to be read.
  void Advise(base::MmapFile::Access access) const { file_.Advise(access); }

 private:
  SafetensorsFile(base::MmapFile file, SafetensorsContents contents);

  base::MmapFile file_;
  SafetensorsContents contents_;
  std::unordered_map<std::string_view, size_t> index_;
};

}  // namespace kvasir::files
