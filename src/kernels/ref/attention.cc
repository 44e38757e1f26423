// Attention over pages in plain C++: the oracle of the vector versions.
//
// Each row takes two passes over the keys that it sees, the first for the largest score and the second for the sums,
// all in double. Scores are computed twice so that nothing has to be allocated and the code stays the textbook formula.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/page_elements.h"
#include "kernels/ref/fp8.h"
#include "kernels/ref/ref.h"
#include "tensor/half.h"

namespace kvasir::kernels::ref {
namespace {

constexpr int kMaxHeadDim = 512;
constexpr uint16_t kMaxHalfBits = 0x7bff;

// Floats: K is [D][P], V is [P][D] behind it.
template <typename Stored, float (*Decode)(Stored), Stored (*Encode)(float)>
struct Floats {
  static size_t KeyIndex(int slot, int d) { return static_cast<size_t>(d) * kPageTokens + slot; }
  static size_t ValueIndex(int head_dim, int slot, int d) {
    return static_cast<size_t>(kPageTokens + slot) * head_dim + d;
  }
  static void Query(const float* q, int head_dim, double* out) { std::copy_n(q, head_dim, out); }
  static float Key(const std::byte* page, int /*head_dim*/, int slot, int d) {
    return Decode(ReadElement<Stored>(page, KeyIndex(slot, d)));
  }
  static float Value(const std::byte* page, int head_dim, int slot, int d) {
    return Decode(ReadElement<Stored>(page, ValueIndex(head_dim, slot, d)));
  }
  static void Store(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
    for (int d = 0; d < head_dim; ++d) {
      WriteElement(page, KeyIndex(slot, d), Encode(key[d]));
      WriteElement(page, ValueIndex(head_dim, slot, d), Encode(value[d]));
    }
  }
};

float Same(float x) {
  return x;
}
using F32 = Floats<float, Same, Same>;
using F16 = Floats<uint16_t, tensor::F16ToF32, SaturatedF16>;
using E4M3 = Floats<uint8_t, E4M3ToF32, F32ToE4M3>;
using E5M2 = Floats<uint8_t, E5M2ToF32, F32ToE5M2>;

// Bytes with a scale per token and 32 features: in each half of the page all codes, then all scales.
struct Q8 {
  static size_t KeyIndex(int /*head_dim*/, int slot, int d) {
    return static_cast<size_t>(d / 2 * kPageTokens + slot) * 2 + d % 2;
  }
  static size_t ValueIndex(int head_dim, int slot, int d) {
    return static_cast<size_t>(slot / 2 * head_dim + d) * 2 + slot % 2;
  }
  using Index = size_t (*)(int head_dim, int slot, int d);

  // out = factor * H x for a block of n features, H Sylvester's matrix of +1 and -1.
  template <typename To>
  static void Rotate(const float* x, int n, float factor, To* out) {
    for (int j = 0; j < n; ++j) {
      To sum = 0;
      for (int i = 0; i < n; ++i) {
        const auto bits = static_cast<unsigned>(i & j);
        sum += std::popcount(bits) % 2 == 0 ? static_cast<To>(x[i]) : -static_cast<To>(x[i]);
      }
      out[j] = static_cast<To>(factor) * sum;
    }
  }
  template <typename To>
  static void RotateBlocks(const float* x, int head_dim, bool back, To* out) {
    for (int first = 0; first < head_dim; first += kQ8BlockFeatures) {
      const int n = std::min(kQ8BlockFeatures, head_dim - first);
      Rotate(x + first, n, back ? 1.0F / static_cast<float>(n) : 1.0F, out + first);
    }
  }
  static void Query(const float* q, int head_dim, double* out) { RotateBlocks(q, head_dim, true, out); }

  static size_t HalfBytes(int head_dim) { return PageBytes(PageFormat::kQ8, head_dim) / 2; }
  static size_t ScaleIndex(int head_dim, int slot, int d) {  // in units of an f16
    return static_cast<size_t>(kPageTokens) * head_dim / 2 + d / kQ8BlockFeatures * kPageTokens + slot;
  }
  static float Element(const std::byte* half, int head_dim, int slot, int d, Index index) {
    return static_cast<float>(ReadElement<int8_t>(half, index(head_dim, slot, d))) *
           tensor::F16ToF32(ReadElement<uint16_t>(half, ScaleIndex(head_dim, slot, d)));
  }
  static float Key(const std::byte* page, int head_dim, int slot, int d) {
    return Element(page, head_dim, slot, d, KeyIndex);
  }
  static float Value(const std::byte* page, int head_dim, int slot, int d) {
    return Element(page + HalfBytes(head_dim), head_dim, slot, d, ValueIndex);
  }

  // The smallest f16 of at least max / 127, so that no code exceeds 127; at most the largest finite one.
  static uint16_t Scale(float max) {
    const float scale = max / 127;
    const uint16_t half = scale > kLargestF16 ? kMaxHalfBits : tensor::F32ToF16(scale);
    return tensor::F16ToF32(half) < scale && half < kMaxHalfBits ? half + 1 : half;
  }
  static void StoreHalf(std::byte* half, int head_dim, int slot, const float* x, Index index) {
    for (int first = 0; first < head_dim; first += kQ8BlockFeatures) {
      const int end = std::min(first + kQ8BlockFeatures, head_dim);
      float max = 0;
      for (int d = first; d < end; ++d) {
        if (!(std::fabs(x[d]) <= max)) max = std::fabs(x[d]);  // a NaN stays the largest
        if (std::isnan(max)) break;
      }
      const uint16_t scale = Scale(max);
      const float stored = tensor::F16ToF32(scale);
      const float inverse = stored == 0 ? 0.0F : 1.0F / stored;
      WriteElement(half, ScaleIndex(head_dim, slot, first), scale);
      for (int d = first; d < end; ++d) {
        const float below = x[d] * inverse < 127 ? x[d] * inverse : 127.0F;  // a NaN becomes some code
        const float code = below > -127 ? below : -127.0F;
        WriteElement(half, index(head_dim, slot, d), static_cast<int8_t>(std::nearbyint(code)));
      }
    }
  }
  static void Store(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
    std::array<float, kMaxHeadDim> rotated;
    RotateBlocks(key, head_dim, false, rotated.data());
    StoreHalf(page, head_dim, slot, rotated.data(), KeyIndex);
    StoreHalf(page + HalfBytes(head_dim), head_dim, slot, value, ValueIndex);
  }
};

template <typename Format>
double Score(const AttendArgs& args, const double* q, const std::byte* page, int slot) {
  double score = 0;
  for (int d = 0; d < args.head_dim; ++d) {
    score += q[d] * Format::Key(page, args.head_dim, slot, d);
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
  std::array<double, kMaxHeadDim> query;
  Format::Query(args.q + static_cast<size_t>(row) * args.head_dim, args.head_dim, query.data());
  const double* q = query.data();
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
    for (int d = 0; d < args.head_dim; ++d) weighted[d] += p * Format::Value(page, args.head_dim, slot, d);
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
void Load(const std::byte* page, int head_dim, int slot, float* key, float* value) {
  for (int d = 0; d < head_dim; ++d) {
    key[d] = Format::Key(page, head_dim, slot, d);
    value[d] = Format::Value(page, head_dim, slot, d);
  }
}

}  // namespace

void AttendF32(const AttendArgs& args) {
  Attend<F32>(args);
}
void AttendF16(const AttendArgs& args) {
  Attend<F16>(args);
}
void AttendQ8(const AttendArgs& args) {
  Attend<Q8>(args);
}
void AttendE4M3(const AttendArgs& args) {
  Attend<E4M3>(args);
}
void AttendE5M2(const AttendArgs& args) {
  Attend<E5M2>(args);
}

void StoreKvF32(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
  F32::Store(page, head_dim, slot, key, value);
}
void StoreKvF16(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
  F16::Store(page, head_dim, slot, key, value);
}
void StoreKvQ8(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
  Q8::Store(page, head_dim, slot, key, value);
}
void StoreKvE4M3(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
  E4M3::Store(page, head_dim, slot, key, value);
}
void StoreKvE5M2(std::byte* page, int head_dim, int slot, const float* key, const float* value) {
  E5M2::Store(page, head_dim, slot, key, value);
}
void LoadKvF32(const std::byte* page, int head_dim, int slot, float* key, float* value) {
  Load<F32>(page, head_dim, slot, key, value);
}
void LoadKvF16(const std::byte* page, int head_dim, int slot, float* key, float* value) {
  Load<F16>(page, head_dim, slot, key, value);
}
void LoadKvQ8(const std::byte* page, int head_dim, int slot, float* key, float* value) {
  std::array<float, kMaxHeadDim> rotated;
  Load<Q8>(page, head_dim, slot, rotated.data(), value);
  Q8::RotateBlocks(rotated.data(), head_dim, true, key);
}
void LoadKvE4M3(const std::byte* page, int head_dim, int slot, float* key, float* value) {
  Load<E4M3>(page, head_dim, slot, key, value);
}
void LoadKvE5M2(const std::byte* page, int head_dim, int slot, float* key, float* value) {
  Load<E5M2>(page, head_dim, slot, key, value);
}

}  // namespace kvasir::kernels::ref
