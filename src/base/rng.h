// Random numbers that are the same on every machine.
//
// The same seed must give the same text whatever the thread count, the standard library or the order in which
// requests are served. A generator with hidden state makes that hard: every extra draw shifts all later ones.
// So we use a counter-based generator: a number is a pure function of (seed, position, stream), and nothing has to
// be saved, shared or rewound. The function is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers:
// as easy as 1, 2, 3", SC 2011): ten rounds of multiply and xor that pass BigCrush, small enough to read.
#pragma once

#include <array>
#include <cstdint>

namespace kvasir::base {

/// Philox4x32 with ten rounds: a bijection of `counter` for each `key`. Thread-safe, no state.
[[nodiscard]] constexpr std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                                           std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiply0 = 0xD2511F53;
  constexpr uint64_t kMultiply1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9;  // the golden ratio
  constexpr uint32_t kWeyl1 = 0xBB67AE85;  // sqrt(3) - 1
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiply0 * counter[0];
    const uint64_t product1 = kMultiply1 * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

/// 64 random bits for `position` in the `stream` of `seed`.
[[nodiscard]] constexpr uint64_t RandomBits(uint64_t seed, uint64_t position, uint32_t stream = 0) {
  const std::array<uint32_t, 4> bits =
      Philox4x32({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), stream, 0},
                 {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return uint64_t{bits[0]} | (uint64_t{bits[1]} << 32);
}

/// Uniform in [0, 1), a multiple of 2^-53.
[[nodiscard]] constexpr double RandomUniform(uint64_t seed, uint64_t position, uint32_t stream = 0) {
  return static_cast<double>(RandomBits(seed, position, stream) >> 11) * 0x1.0p-53;
}

}  // namespace kvasir::base
