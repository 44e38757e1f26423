// Draws that are the same for the same seed on every machine: what the generators of test prompts and the bootstrap
// are made of. (The standard library's distributions differ from one implementation to the next.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/rng.h"

namespace kvasir::eval {

/// A sequence of draws. Copies go on with the same ones. Not thread-safe.
class Dice {
 public:
  explicit Dice(uint64_t seed) : seed_(seed) {}

  /// The dice of draw number `index` of the thing called `name`: independent of those of other names and numbers.
  [[nodiscard]] static Dice For(uint64_t seed, std::string_view name, uint64_t index) {
    uint32_t stream = 2166136261u;  // FNV-1a, 32 bits
    for (const char c : name) stream = (stream ^ static_cast<unsigned char>(c)) * 16777619u;
    return Dice(base::RandomBits(seed, index, stream));
  }

  /// Uniform in 0 .. bound-1, up to a bias of bound / 2^64. `bound` > 0.
  [[nodiscard]] uint64_t Below(uint64_t bound) {
    KV_CHECK(bound > 0);
    const uint64_t bits = base::RandomBits(seed_, drawn_++);
    return static_cast<uint64_t>((static_cast<unsigned __int128>(bits) * bound) >> 64);
  }

  /// One of `list`, which is not empty.
  template <typename List>
  [[nodiscard]] const auto& Pick(const List& list) {
    return list[Below(list.size())];
  }

  /// Every order equally likely (Fisher and Yates).
  template <typename T>
  void Shuffle(std::vector<T>& list) {
    for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[Below(i)]);
  }

  /// `count` different numbers of 0 .. bound-1, in random order.
  [[nodiscard]] std::vector<size_t> Choose(size_t count, size_t bound) {
    KV_CHECK(count <= bound);
    std::vector<size_t> all(bound);
    for (size_t i = 0; i < bound; ++i) all[i] = i;
    for (size_t i = 0; i < count; ++i) std::swap(all[i], all[i + Below(bound - i)]);
    all.resize(count);
    return all;
  }

 private:
  uint64_t seed_;
  uint64_t drawn_ = 0;
};

}  // namespace kvasir::eval
