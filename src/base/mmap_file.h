// A file's bytes without reading them: a read-only memory map.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "kvasir/result.h"

namespace kvasir::base {

/// A whole regular file mapped read-only. Pages are read from disk when they are first touched, and shared between
/// processes. Movable, not copyable; the bytes stay where they are when the object moves, and go with the last owner.
/// Const functions may be called from any thread.
///
/// If another process truncates the file while it is mapped, touching the lost pages kills the process (SIGBUS): models
/// must be replaced by renaming a new file over the old one, never by writing into it.
class MmapFile {
 public:
  /// How the bytes are going to be used; only a hint to the kernel.
  enum class Access {
    kNormal,
    kSequential,  ///< Once, front to back: read ahead far.
    kRandom,      ///< Here and there: do not read ahead.
    kWillNeed,    ///< All of it soon: start reading now.
    kDone,        ///< Not again soon: it no longer counts as this process's memory, and is found in the system's cache.
  };

  /// Maps `path`. Fails with kNotFound if nothing is there, kInvalidArgument for a directory or another thing that is
  /// no regular file, kCorrupt for an empty file, and kIo when the system refuses; the message names the path.
  [[nodiscard]] static Result<MmapFile> Open(const std::string& path);

  MmapFile(MmapFile&& other) noexcept;
  MmapFile& operator=(MmapFile&& other) noexcept;
  MmapFile(const MmapFile&) = delete;
  MmapFile& operator=(const MmapFile&) = delete;
  ~MmapFile();

  /// Tells the kernel about `length` bytes from `offset` (clamped to the file). Without effect if the kernel declines.
  void Advise(Access access, size_t offset = 0, size_t length = static_cast<size_t>(-1)) const;

  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] std::span<const std::byte> span() const { return {data_, size_}; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  MmapFile(const std::byte* data, size_t size, std::string path) : data_(data), size_(size), path_(std::move(path)) {}
  void Unmap();

  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

}  // namespace kvasir::base
