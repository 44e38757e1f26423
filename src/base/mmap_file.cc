#include "base/mmap_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace kvasir::base {
namespace {

std::string Reason(int error) {
  return std::generic_category().message(error);
}

/// Closes the descriptor at the end of the scope; the map outlives it.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

int ToAdvice(MmapFile::Access access) {
  switch (access) {
    case MmapFile::Access::kNormal: return MADV_NORMAL;
    case MmapFile::Access::kSequential: return MADV_SEQUENTIAL;
    case MmapFile::Access::kRandom: return MADV_RANDOM;
    case MmapFile::Access::kWillNeed: return MADV_WILLNEED;
    case MmapFile::Access::kDone:
      return MADV_DONTNEED;  // of a shared map of a file: forgets the mapping, not the bytes
  }
  return MADV_NORMAL;
}

Status CheckRegular(const struct stat& info, const std::string& path) {
  if (S_ISDIR(info.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is a directory: name the file inside it", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is not a regular file", path));
  }
  if (info.st_size == 0) {
    return Fail(ErrorCode::kCorrupt, fmt::format("{} is empty (0 bytes): get the file again", path));
  }
  return {};
}

}  // namespace

Result<MmapFile> MmapFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a named pipe without a writer must fail the type check below, not hang.
  const Descriptor descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.fd() < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return Fail(ErrorCode::kNotFound, fmt::format("there is no file {}", path));
    }
    return Fail(ErrorCode::kIo, fmt::format("cannot open {}: {}", path, Reason(error)));
  }
  struct stat info = {};
  if (fstat(descriptor.fd(), &info) != 0) {
    return Fail(ErrorCode::kIo, fmt::format("cannot read the size of {}: {}", path, Reason(errno)));
  }
  if (Status status = CheckRegular(info, path); !status) return std::unexpected(std::move(status).error());
  const auto size = static_cast<size_t>(info.st_size);
  void* map = mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor.fd(), 0);
  if (map == MAP_FAILED) {
    return Fail(ErrorCode::kIo, fmt::format("cannot map the {} bytes of {}: {}", size, path, Reason(errno)));
  }
  return MmapFile(static_cast<const std::byte*>(map), size, path);
}

MmapFile::MmapFile(MmapFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), path_(std::move(other.path_)) {}

MmapFile& MmapFile::operator=(MmapFile&& other) noexcept {
  if (this != &other) {
    Unmap();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    path_ = std::move(other.path_);
  }
  return *this;
}

MmapFile::~MmapFile() {
  Unmap();
}

void MmapFile::Unmap() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

void MmapFile::Advise(Access access, size_t offset, size_t length) const {
  if (offset >= size_) return;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t first = offset / page * page;  // madvise wants a page's start
  const size_t last = offset + std::min(length, size_ - offset);
  (void)madvise(const_cast<std::byte*>(data_) + first, last - first, ToAdvice(access));
}

}  // namespace kvasir::base
