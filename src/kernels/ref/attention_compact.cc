// Attention over compact pages in plain C++: a page is unpacked to floats, brought to the frame of the query, and
// attended to in double. The oracle of the vector versions.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/compact_codes.h"
#include "kernels/ref/ref.h"

namespace kvasir::kernels::ref {
namespace {

constexpr int kMaxHeadDim = 512;
constexpr int kBlockRows = 16;  // rows for which a page is unpacked once
constexpr double kNone = -std::numeric_limits<double>::infinity();

// x = H x / n for each block of n features, H Sylvester's matrix of +1 and -1: turns back what was stored times H.
template <typename T>
void TurnBack(T* x, int head_dim) {
  for (int first = 0; first < head_dim; first += kQ8BlockFeatures) {
    const int n = std::min(kQ8BlockFeatures, head_dim - first);
    double turned[kQ8BlockFeatures] = {};
    for (int j = 0; j < n; ++j) {
      for (int i = 0; i < n; ++i) {
        turned[j] += std::popcount(static_cast<unsigned>(i & j)) % 2 == 0 ? x[first + i] : -x[first + i];
      }
    }
    for (int j = 0; j < n; ++j) x[first + j] = static_cast<T>(turned[j] / n);
  }
}

// Stored neighbours to where the query has them, turned by the angle of `position`: R(base) R(slot) of two tables.
void AddPosition(const CompactRope& rope, int head_dim, int32_t first_position, int slot, const double* stored,
                 double* key) {
  const int half = rope.n_rot / 2;
  const size_t page = static_cast<size_t>(first_position / kPageTokens) * half;
  for (int i = 0; i < half; ++i) {
    const double cos_slot = rope.slot_cos[i * kPageTokens + slot];
    const double sin_slot = rope.slot_sin[i * kPageTokens + slot];
    const double a = cos_slot * stored[2 * i] - sin_slot * stored[2 * i + 1];
    const double b = sin_slot * stored[2 * i] + cos_slot * stored[2 * i + 1];
    const double cos_page = rope.page_cos[page + i];
    const double sin_page = rope.page_sin[page + i];
    key[rope.neox ? i : 2 * i] = cos_page * a - sin_page * b;
    key[rope.neox ? i + half : 2 * i + 1] = sin_page * a + cos_page * b;
  }
  std::copy(stored + rope.n_rot, stored + head_dim, key + rope.n_rot);
}

// What is known of a row after some pages: of softmax, online.
struct RowState {
  double max = kNone;
  double sum = 0;
  double weighted[kMaxHeadDim] = {};
};

// One key and one value for each row that sees them.
void AddToken(const AttendArgs& args, int first_row, int rows, int32_t position, const double* key, const float* value,
              RowState* states) {
  for (int r = 0; r < rows; ++r) {
    const int32_t distance = args.row_positions[first_row + r] - position;
    if (distance < 0 || (args.window != 0 && distance >= args.window)) continue;
    const float* q = args.q + static_cast<size_t>(first_row + r) * args.head_dim;
    double score = 0;
    for (int d = 0; d < args.head_dim; ++d) score += q[d] * key[d];
    if (args.softcap != 0) score = args.softcap * std::tanh(score / args.softcap);
    RowState& state = states[r];
    if (score > state.max) {
      const double factor = std::exp(state.max - score);
      state.sum *= factor;
      for (int d = 0; d < args.head_dim; ++d) state.weighted[d] *= factor;
      state.max = score;
    }
    const double p = std::exp(score - state.max);
    state.sum += p;
    for (int d = 0; d < args.head_dim; ++d) state.weighted[d] += p * value[d];
  }
}

void AddPage(const AttendArgs& args, const CompactFormat& format, const PageRef& page, int first_row, int rows,
             RowState* states) {
  const int head_dim = args.head_dim;
  auto* keys = reinterpret_cast<float*>(args.scratch);
  float* values = keys + kPageTokens * head_dim;
  UnpackHalf(format.key, /*keys=*/true, head_dim, page.data, keys);
  UnpackHalf(format.value, /*keys=*/false, head_dim, page.data + HalfBytes(format.key, head_dim), values);
  for (int slot = 0; slot < page.count; ++slot) {
    double stored[kMaxHeadDim];
    double key[kMaxHeadDim];
    std::copy_n(keys + slot * head_dim, head_dim, stored);
    if (format.key.rotated) TurnBack(stored, head_dim);
    if (format.key.before_rope) {
      AddPosition(format.rope, head_dim, page.first_position, slot, stored, key);
    } else {
      std::copy_n(stored, head_dim, key);
    }
    float* value = values + slot * head_dim;
    if (format.value.rotated) TurnBack(value, head_dim);
    AddToken(args, first_row, rows, page.first_position + slot, key, value, states);
  }
}

}  // namespace

void AttendCompact(const AttendArgs& args, const CompactFormat& format) {
  static_assert(size_t{2} * kPageTokens * kMaxHeadDim * sizeof(float) <= kAttendScratchBytes);
  for (int first = 0; first < args.rows; first += kBlockRows) {
    const int rows = std::min(kBlockRows, args.rows - first);
    RowState states[kBlockRows];
    for (int i = 0; i < args.num_pages; ++i) AddPage(args, format, args.pages[i], first, rows, states);
    for (int r = 0; r < rows; ++r) {
      const RowState& state = states[r];
      const bool sees_none = state.sum == 0;  // a NaN among the keys seen must come out as NaN
      args.lse[first + r] = static_cast<float>(sees_none ? kNone : state.max + std::log(state.sum));
      float* out = args.out + static_cast<size_t>(first + r) * args.head_dim;
      for (int d = 0; d < args.head_dim; ++d) {
        out[d] = static_cast<float>(sees_none ? 0.0 : state.weighted[d] / state.sum);
      }
    }
  }
}

}  // namespace kvasir::kernels::ref
