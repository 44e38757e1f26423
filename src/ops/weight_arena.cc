#include "ops/weight_arena.h"

#include "base/check.h"

namespace kvasir::ops {

Result<WeightArena> WeightArena::Create(size_t bytes) {
  WeightArena arena;
  KV_ASSIGN(arena.buffer_, base::AlignedBuffer::Create(bytes, base::AlignedBuffer::Pages::kHuge));
  return arena;
}

size_t WeightArena::PartBytes(size_t bytes) {
  return (bytes + base::kCacheLineBytes - 1) / base::kCacheLineBytes * base::kCacheLineBytes;
}

std::span<std::byte> WeightArena::Take(size_t bytes) {
  if (PartBytes(bytes) > buffer_.size() - used_) {
    complete_ = false;
    return {};
  }
  const std::span<std::byte> part(buffer_.data() + used_, bytes);
  used_ += PartBytes(bytes);
  return part;
}

}  // namespace kvasir::ops
