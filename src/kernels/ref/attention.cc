// Attention over pages in plain C++: the oracle of the vector versions.
//
// Each row takes two passes over the keys that it sees, the first for the largest score and the second for the sums,
// all in double. Scores are computed twice so that nothing has to be allocated and the code stays the textbook formula.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/ref/ref.h"
#include "tensor/half.h"

namespace kvasir::kernels::ref {
namespace {

constexpr int kMaxHeadDim = 512;
constexpr float kMaxHalf = 65504.0f;

struct F32 {
  using Stored = float;
  static float Decode(float stored) { return stored; }
  static float Encode(float value) { return value; }
};

struct F16 {
  using Stored = uint16_t;
  static float Decode(uint16_t stored) { return tensor::F16ToF32(stored); }
  // Saturates: one outlier beyond the range of f16 must not turn a whole row of attention into infinities.
  static uint16_t Encode(float value) {
    if (value > kMaxHalf) value = kMaxHalf;
    if (value < -kMaxHalf) value = -kMaxHalf;
    return tensor::F32ToF16(value);
  }
};

// The layout of a page, in elements: K is [D][P], V is [P][D] behind it.
size_t KeyIndex(int slot, int feature) {
  return static_cast<size_t>(feature) * kPageTokens + slot;
}
size_t ValueIndex(int head_dim, int slot, int feature) {
  return static_cast<size_t>(kPageTokens + slot) * head_dim + feature;
}

template <typename Format>
float Read(const std::byte* page, size_t index) {
  typename Format::Stored stored;
  std::memcpy(&stored, page + index * sizeof(stored), sizeof(stored));
  return Format::Decode(stored);
}

template <typename Format>
void Write(std::byte* page, size_t index, float value) {
  const typename Format::Stored stored = Format::Encode(value);
  std::memcpy(page + index * sizeof(stored), &stored, sizeof(stored));
}

template <typename Format>
double Score(const AttendArgs& args, const float* q, const std::byte* page, int slot) {
  double score = 0;
  for (int d = 0; d < args.head_dim; ++d) {
    score += static_cast<double>(q[d]) * Read<Format>(page, KeyIndex(slot, d));
  }
  return args.softcap == 0 ? score : args.softcap * std::tanh(score / args.softcap);
}

// Calls visit(page, slot) for every key that a row at `position` sees.
template <typename Visit>
void ForEachVisibleKey(const AttendArgs& args, int32_t position, Visit visit) {
  for (int i = 0; i < args.num_pages; ++i) {
    const PageRef& page = args.pages[i];
    for (int slot = 0; slot < page.count; ++slot) {
      const int32_t distance = position - (page.first_position + slot);
      if (distance >= 0 && (args.window == 0 || distance < args.window)) visit(page.data, slot);
    }
  }
}

template <typename Format>
void AttendRow(const AttendArgs& args, int row) {
  const float* q = args.q + static_cast<size_t>(row) * args.head_dim;
  float* out = args.out + static_cast<size_t>(row) * args.head_dim;
  const int32_t position = args.row_positions[row];

  constexpr double kNone = -std::numeric_limits<double>::infinity();
  double max = kNone;
  ForEachVisibleKey(args, position,
                    [&](const std::byte* page, int slot) { max = std::max(max, Score<Format>(args, q, page, slot)); });

  double sum = 0;
  std::array<double, kMaxHeadDim> weighted{};
  ForEachVisibleKey(args, position, [&](const std::byte* page, int slot) {
    const double p = std::exp(Score<Format>(args, q, page, slot) - max);
    sum += p;
    for (int d = 0; d < args.head_dim; ++d) weighted[d] += p * Read<Format>(page, ValueIndex(args.head_dim, slot, d));
  });

  const bool sees_none = sum == 0;  // a NaN among the keys seen must come out as NaN
  args.lse[row] = static_cast<float>(sees_none ? kNone : max + std::log(sum));
  for (int d = 0; d < args.head_dim; ++d) out[d] = static_cast<float>(sees_none ? 0.0 : weighted[d] / sum);
}

template <typename Format>
void Attend(const AttendArgs& args) {
  for (int row = 0; row < args.rows; ++row) AttendRow<Format>(args, row);
}

template <typename Format>
void Store(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
  for (int d = 0; d < head_dim; ++d) {
    Write<Format>(page, KeyIndex(slot, d), key[d]);
    Write<Format>(page, ValueIndex(head_dim, slot, d), value[d]);
  }
}

template <typename Format>
void Load(const std::byte* page, int head_dim, int slot, float* key, float* value) {
  for (int d = 0; d < head_dim; ++d) {
    key[d] = Read<Format>(page, KeyIndex(slot, d));
    value[d] = Read<Format>(page, ValueIndex(head_dim, slot, d));
  }
}

}  // namespace

void AttendF32(const AttendArgs& args) {
  Attend<F32>(args);
}
void AttendF16(const AttendArgs& args) {
  Attend<F16>(args);
}

void StoreKvF32(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
  Store<F32>(page, head_dim, slot, key, value);
}
void StoreKvF16(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
  Store<F16>(page, head_dim, slot, key, value);
}
void LoadKvF32(const std::byte* page, int head_dim, int slot, float* key, float* value) {
  Load<F32>(page, head_dim, slot, key, value);
}
void LoadKvF16(const std::byte* page, int head_dim, int slot, float* key, float* value) {
  Load<F16>(page, head_dim, slot, key, value);
}

}  // namespace kvasir::kernels::ref
