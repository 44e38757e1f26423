// Encoding one half of a compact page: the codes, scales, offsets and exact elements that stand for 64 keys or values.
//
// The problem: reading is fixed (element = offset + scale * level[code]), so all quality lies in choosing well, once,
// when a page is full. Rounding each number to its nearest code minimises the error of the numbers, which nobody sees.
// What is seen is the error of the scores, q . e for the queries q that will come: on average e' H e, where e is the
// error of one key and H the second moment of the queries that attend.
//
// The idea: queries are far from evenly spread, so errors can be steered into directions in which hardly any query
// looks. Features are rounded one after the other, and each one is first moved by what the errors made so far still
// allow it to undo. With H = F' diag(d) F, F unit lower triangular, the loss is the sum over k of
// d_k (e_k + sum over i < k of F_ki e_i)^2: rounding x_k - sum F_ki e_i makes each bracket a plain rounding error.
// d_k is the variance of what feature k adds given those after it, so the mean loss falls from that of the diagonal of
// H to that of d: to a third for the keys of a 135M model, which takes 40 % off the divergence of its cache at 3 bits
// (docs/design/0004-cache-codes.md). It costs D^2 / 2 multiplications a token.
//
// This is the error feedback of LDLQ (QuIP, arXiv:2307.13304) and GPTQ (arXiv:2210.17323), there for weights with the
// second moment of activations, here for keys with that of queries, measured where attention mass lies.
// Outliers follow KVQuant (arXiv:2401.18079), but the ones kept exact are those whose removal narrows ranges where
// narrowing pays, over the whole half, instead of a share of every vector.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/compact_codes.h"
#include "kernels/compact_page.h"
#include "kvcache/encode_range.h"

namespace kvasir::kvcache {

/// What was learnt about the errors of one half of one (layer, KV head); calibration.h makes it. In the frame in which
/// the half is stored (rotated, before RoPE, pair partners as neighbours).
struct HalfCalibration {
  std::vector<uint16_t> order;  ///< [D]: features in the order of rounding. Empty with `feedback`.
  std::vector<float>
      feedback;  ///< [D][D], row k: F_ki for the features order[k] and order[i], i < k. Empty: no feedback.
  std::vector<float> weight;  ///< [D]: what a squared error of a feature costs. Empty: 1.
  /// [D] each: the ranges that RangeChoice::kStatic gives the features of a half by channel.
  std::vector<float> low, high;
};

/// What an encoder is free to choose.
struct HalfChoices {
  // NOLINTNEXTLINE(google-explicit-constructor): the range is all there is to say of most halves.
  HalfChoices(RangeChoice range_choice, bool normalised = false) : range(range_choice), qnorm(normalised) {}

  RangeChoice range;
  /// Whether scales and offsets are corrected after rounding, so that what is stored has the mean and the spread of
  /// what was to be stored: KVQuant's Q-Norm. Few levels change both; keys whose spread is wrong make scores that are
  /// as wrong. Over the whole half, in units of each group's range; exact elements do not count.
  bool qnorm;
};

/// Encodes x [64][D], finite or not, for CompactHalf `half`. Keys come before RoPE where the half says so; rotating
/// them is done here. `calibration` may be null. Deterministic; thread-safe; allocates scratch of about 10 * 64 * D
/// bytes.
///
/// Without feedback, with ranges that adapt and without Q-Norm, an element's error is at most half the widest gap
/// between two levels, times the scale, plus the rounding of scale and offset to f16. A group with a NaN or an infinity
/// decodes to NaN, other groups are what they would be if that group's numbers were stored without error.
void EncodeHalf(const kernels::CompactHalf& half, int head_dim, const HalfCalibration* calibration,
                const HalfChoices& choices, const float* x, kernels::HalfCodes* out);

}  // namespace kvasir::kvcache
