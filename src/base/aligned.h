// A block of memory that starts on a cache line, for weights, activations and caches.
#pragma once

#include <cstddef>
#include <span>

#include "kvasir/result.h"

namespace kvasir::base {

/// The alignment of every AlignedBuffer: a cache line, and the widest vector register.
inline constexpr size_t kCacheLineBytes = 64;

/// Owns `size()` bytes that start at a multiple of kCacheLineBytes. Movable, not copyable; the bytes stay in place when
/// the object moves. New memory is zero. An empty buffer (default, moved-from, or of size 0) has a null data().
class AlignedBuffer {
 public:
  /// Whether the kernel is asked to back the buffer with 2 MiB pages, which saves TLB misses in buffers that are read
  /// in full every token. Only a request: without such pages the buffer works the same.
  enum class Pages { kNormal, kHuge };

  AlignedBuffer() = default;

  /// Reserves `bytes`. Fails with kResourceExhausted when the system has no address space or memory for them; the
  /// message gives the number of bytes.
  [[nodiscard]] static Result<AlignedBuffer> Create(size_t bytes, Pages pages = Pages::kNormal);

  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer();

  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  /// The buffer as whole elements of T (a remainder that is no whole T is left out).
  template <typename T>
  [[nodiscard]] std::span<T> as() {
    static_assert(alignof(T) <= kCacheLineBytes);
    return {reinterpret_cast<T*>(data_), size_ / sizeof(T)};
  }
  template <typename T>
  [[nodiscard]] std::span<const T> as() const {
    static_assert(alignof(T) <= kCacheLineBytes);
    return {reinterpret_cast<const T*>(data_), size_ / sizeof(T)};
  }

 private:
  AlignedBuffer(std::byte* data, size_t size) : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace kvasir::base
