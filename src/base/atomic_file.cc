#include "base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace kvasir::base {
namespace {

std::unexpected<Error> FailIo(const char* what, const std::string& path) {
  return Fail(ErrorCode::kIo, fmt::format("cannot {} {}: {}", what, path, std::generic_category().message(errno)));
}

// Whether `path` still names the open file: another writer may have renamed it before we got the lock.
bool StillNamed(int fd, const std::string& path) {
  struct stat open_file = {};
  struct stat named = {};
  return fstat(fd, &open_file) == 0 && stat(path.c_str(), &named) == 0 && open_file.st_ino == named.st_ino &&
         open_file.st_dev == named.st_dev;
}

}  // namespace

Result<AtomicFile> AtomicFile::Create(const std::string& path) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) {
    return Fail(ErrorCode::kIo, fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
  }
  const std::string partial = path + ".partial";
  const int fd = open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return FailIo("write", partial);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !StillNamed(fd, partial)) {
    close(fd);
    return Fail(ErrorCode::kResourceExhausted, fmt::format("another process is writing {}", path));
  }
  AtomicFile file(fd, path);
  if (ftruncate(fd, 0) != 0) return FailIo("empty", partial);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  unlink(partial().c_str());
  close(fd_);
}

Status AtomicFile::Write(std::span<const std::byte> bytes) {
  KV_CHECK(fd_ >= 0);
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return FailIo("write", partial());
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status AtomicFile::Commit() {
  KV_CHECK(fd_ >= 0);
  if (fsync(fd_) != 0) return FailIo("write", partial());
  if (std::rename(partial().c_str(), path_.c_str()) != 0) return FailIo("rename", partial());
  close(std::exchange(fd_, -1));
  // The name must survive a crash too; where a folder cannot be synced, the old file or none is what a crash leaves.
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const int folder_fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd >= 0) {
    (void)fsync(folder_fd);
    close(folder_fd);
  }
  return {};
}

}  // namespace kvasir::base
