// The limits of the machine as plain C++ sees them.
#include <cmath>
#include <cstring>

#include "kernels/ref/ref.h"

namespace kvasir::kernels::ref {

uint64_t ReadStream(const std::byte* data, size_t bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, data + i, sizeof word);
    sum += word;
  }
  return sum;
}

float FmaPeak(int64_t iterations, int64_t* flops) {
  constexpr int kChains = 16;
  float acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = static_cast<float>(i);
  for (int64_t n = 0; n < iterations; ++n) {
    for (float& a : acc) a = a * 0.999f + 0.5f;
  }
  float sum = 0;
  for (const float a : acc) sum += a;
  *flops = 2 * kChains * iterations;
  return sum;
}

int32_t Int8Peak(int64_t iterations, int64_t* ops) {
  constexpr int kChains = 16;
  uint32_t acc[kChains] = {};  // unsigned: it wraps around
  for (int64_t n = 0; n < iterations; ++n) {
    for (int i = 0; i < kChains; ++i) acc[i] += static_cast<uint32_t>((n + i) & 127) * static_cast<uint32_t>(n & 63);
  }
  uint32_t sum = 0;
  for (const uint32_t a : acc) sum += a;
  *ops = 2 * kChains * iterations;
  return static_cast<int32_t>(sum);
}

}  // namespace kvasir::kernels::ref
