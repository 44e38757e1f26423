// One block of memory that all packed weights of a model are cut from.
#pragma once

#include <cstddef>
#include <span>

#include "base/aligned.h"
#include "kvasir/result.h"

namespace kvasir::ops {

/// Hands out parts of one buffer of huge pages, front to back. Small matrices then share huge pages instead of having
/// none, large ones do not each waste half of one, and the whole is one run of bytes that a file can hold.
class WeightArena {
 public:
  WeightArena() = default;
  /// Reserves `bytes`; memory is only taken as it is written.
  [[nodiscard]] static Result<WeightArena> Create(size_t bytes);

  /// The next `bytes`, on a cache line; empty where the arena has no such room left.
  [[nodiscard]] std::span<std::byte> Take(size_t bytes);
  /// What Take adds to used() for a part of `bytes`.
  [[nodiscard]] static size_t PartBytes(size_t bytes);

  /// Everything from the front up to the last part handed out.
  [[nodiscard]] std::span<std::byte> used() { return {buffer_.data(), used_}; }
  [[nodiscard]] std::span<std::byte> memory() { return {buffer_.data(), buffer_.size()}; }
  /// Whether used() is all of the model: no part was refused, and none was given up for memory elsewhere.
  [[nodiscard]] bool complete() const { return complete_; }
  void set_incomplete() { complete_ = false; }
  /// Says that the memory holds, from the front, the parts of the same model as they were packed before: they are only
  /// to be handed out again.
  void set_filled(bool filled) { filled_ = filled; }
  [[nodiscard]] bool filled() const { return filled_; }

 private:
  base::AlignedBuffer buffer_;
  size_t used_ = 0;
  bool complete_ = true;
  bool filled_ = false;
};

}  // namespace kvasir::ops
