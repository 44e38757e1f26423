// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "kvasir/result.h"

namespace kvasir::base {

/// Writes PATH.partial and renames it to PATH when all is on the disk, so that neither a crash nor a full disk leaves
/// half a file under the final name. What a crash leaves under the other name is overwritten by the next writer.
/// Movable; without Commit the destructor removes what was written.
class AtomicFile {
 public:
  /// Makes the folders of `path` and opens the file. Errors: kIo with the path and the system's reason;
  /// kResourceExhausted while another process is writing the same file.
  [[nodiscard]] static Result<AtomicFile> Create(const std::string& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Appends `bytes`. Errors: kIo, for example when the disk is full.
  [[nodiscard]] Status Write(std::span<const std::byte> bytes);
  /// Waits until the bytes are on the disk and gives the file its name. Nothing may be written afterwards.
  [[nodiscard]] Status Commit();

 private:
  AtomicFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  [[nodiscard]] std::string partial() const { return path_ + ".partial"; }

  int fd_;
  std::string path_;
};

}  // namespace kvasir::base
