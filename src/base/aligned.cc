// Large buffers come from mmap: zero pages for free, given back to the system at once, and aligned to 2 MiB when huge
// pages are wanted (the kernel only uses one where a whole aligned 2 MiB lies inside the map). Small ones come from the
// heap, where a page each would be waste.
#include "base/aligned.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

namespace kvasir::base {
namespace {

constexpr size_t kMapFrom = size_t{1} << 20;
constexpr size_t kHugePage = size_t{2} << 20;

size_t RoundUp(size_t bytes, size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

std::byte* AllocateSmall(size_t bytes) {
  void* memory = std::aligned_alloc(kCacheLineBytes, RoundUp(bytes, kCacheLineBytes));
  if (memory != nullptr) std::memset(memory, 0, bytes);
  return static_cast<std::byte*>(memory);
}

std::byte* Map(size_t bytes) {
  void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return map == MAP_FAILED ? nullptr : static_cast<std::byte*>(map);
}

/// Maps `bytes` (a multiple of kHugePage) at a multiple of kHugePage: maps one huge page too many and trims both ends.
std::byte* MapHuge(size_t bytes) {
  std::byte* map = Map(bytes + kHugePage);
  if (map == nullptr) return nullptr;
  const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(map) % kHugePage) % kHugePage;
  if (head > 0) munmap(map, head);
  munmap(map + head + bytes, kHugePage - head);
  (void)madvise(map + head, bytes, MADV_HUGEPAGE);
  return map + head;
}

/// What is mapped for a buffer of `bytes`: a function of its size alone, so that it need not be kept.
size_t MappedBytes(size_t bytes) {
  return RoundUp(bytes, bytes >= kHugePage ? kHugePage : kCacheLineBytes);
}

void Release(std::byte* data, size_t bytes) {
  if (data == nullptr) return;
  if (bytes < kMapFrom) {
    std::free(data);
  } else {
    munmap(data, MappedBytes(bytes));
  }
}

}  // namespace

Result<AlignedBuffer> AlignedBuffer::Create(size_t bytes, Pages pages) {
  if (bytes == 0) return AlignedBuffer();
  std::byte* data = nullptr;
  if (bytes < kMapFrom) {
    data = AllocateSmall(bytes);
  } else if (bytes < std::numeric_limits<size_t>::max() - 2 * kHugePage) {
    const bool huge = pages == Pages::kHuge && bytes >= kHugePage;
    data = huge ? MapHuge(MappedBytes(bytes)) : Map(MappedBytes(bytes));
  }
  if (data == nullptr) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the system refused {} bytes of memory: close other programs, or ask for less", bytes));
  }
  return AlignedBuffer(data, bytes);
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  if (this != &other) {
    Release(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

AlignedBuffer::~AlignedBuffer() {
  Release(data_, size_);
}

}  // namespace kvasir::base
