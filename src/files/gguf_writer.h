// Writing GGUF files: describe first (GgufHeader), then stream the tensors' bytes (GgufWriter).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "base/atomic_file.h"
#include "files/gguf.h"
#include "files/gguf_metadata.h"
#include "kvasir/result.h"
#include "tensor/dtype.h"

namespace kvasir::files {

/// The metadata and the list of tensors of a file to be written. Keys keep the order in which they were first set;
/// setting one again replaces its value. Nothing is checked before Encode, so a sequence of calls needs no error paths.
class GgufHeader {
 public:
  struct Tensor {
    std::string name;
    tensor::DType dtype;
    std::vector<int64_t> shape;  ///< Contiguous dimension first, 1 to 4 dimensions.
  };

  /// The value's type in the file is that of T, exactly: write uint32_t{1}, not 1, where readers expect U32.
  template <GgufScalar T>
  void Set(std::string_view key, T value) {
    SetEncoded(key, GgufTypeOf<T>(), std::as_bytes(std::span(&value, 1)));
  }
  template <GgufScalar T>
  void SetArray(std::string_view key, std::span<const T> values) {
    SetEncodedArray(key, GgufTypeOf<T>(), values.size(), std::as_bytes(values));
  }
  void SetString(std::string_view key, std::string_view value);
  void SetStrings(std::string_view key, std::span<const std::string_view> values);

  /// Copies a value that was read from another file, byte for byte.
  void SetValue(std::string_view key, const GgufValue& value);
  void Remove(std::string_view key);

  /// Appends a tensor. Its data are expected in the same place of the sequence given to GgufWriter.
  void AddTensor(std::string_view name, tensor::DType dtype, std::span<const int64_t> shape);

  [[nodiscard]] std::span<const Tensor> tensors() const { return tensors_; }

  /// Everything before the tensor data, padded to where they begin. The alignment is the value of `general.alignment`
  /// if that was set, else 32. Fails on what a reader would refuse: bad alignment, key, name or shape, duplicate names.
  [[nodiscard]] Result<std::string> Encode() const;

  /// The alignment that Encode uses.
  [[nodiscard]] Result<uint32_t> Alignment() const;

 private:
  struct Pair {
    std::string key;
    std::string encoded;  ///< Type and value as they stand in the file.
  };

  void SetEncoded(std::string_view key, GgufType type, std::span<const std::byte> value);
  void SetEncodedArray(std::string_view key, GgufType element_type, uint64_t count,
                       std::span<const std::byte> elements);
  void Put(std::string_view key, std::string encoded);

  std::vector<Pair> pairs_;
  std::vector<Tensor> tensors_;
};

/// Streams one file to disk. It is written under a temporary name beside `path` and renamed by Commit, so that nobody
/// ever sees half a file under its name; what is not committed is deleted. For one thread.
class GgufWriter {
 public:
  /// Writes the header. Fails as GgufHeader::Encode does, and with kIo when the file cannot be created or written,
  /// and with kResourceExhausted while another process is writing it.
  [[nodiscard]] static Result<GgufWriter> Create(const std::string& path, const GgufHeader& header);

  GgufWriter(GgufWriter&&) noexcept = default;
  GgufWriter& operator=(GgufWriter&&) noexcept = default;

  /// Appends bytes of the current tensor: the whole, or some rows, or any piece; the next tensor begins by itself when
  /// the current one is complete, and pieces may not reach across. Fails with kInvalidArgument when there are more
  /// bytes than the header announced, and with kIo when the disk is full. After a failure the file can only be given
  /// up.
  [[nodiscard]] Status Append(std::span<const std::byte> bytes);

  /// Forces everything to disk and gives the file its name. Fails with kInvalidArgument when data of a tensor are
  /// missing.
  [[nodiscard]] Status Commit();

 private:
  struct Expected {
    std::string name;
    size_t bytes;
  };

  GgufWriter() = default;

  std::string path_;
  std::unique_ptr<base::AtomicFile> file_;
  std::vector<Expected> expected_;
  uint32_t alignment_ = kDefaultAlignment;
  size_t current_ = 0;  ///< Index of the tensor being written.
  size_t written_ = 0;  ///< Its bytes so far.
};

}  // namespace kvasir::files
