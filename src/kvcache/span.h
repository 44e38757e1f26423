// Spans: the fixed pieces in which attention reads a context, and the exact merge of their results.
//
// The pages of a (layer, KV head) are grouped by absolute position into spans of 256 positions. A row's result is the
// merge of its spans' (o, lse) in ascending order. Because the partition depends on positions alone, the result has the
// same bits for any number of threads, any cut of a prompt into chunks, and decoding token by token.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "kernels/kernels.h"

namespace kvasir::kvcache {

inline constexpr int kSpanPages = 4;
inline constexpr int kSpanTokens = kSpanPages * kernels::kPageTokens;

/// A half-open range of span numbers; span n covers positions [n * 256, (n + 1) * 256).
struct SpanRange {
  int32_t begin = 0;
  int32_t end = 0;
  int32_t size() const { return end - begin; }
  friend bool operator==(const SpanRange&, const SpanRange&) = default;
};

/// The spans that any row at a position in [first_row, last_row] sees, among those that have a page in `pages`
/// (ascending by position). A span in the middle of the range may be empty where pages are missing. Empty range when
/// none is visible.
[[nodiscard]] SpanRange VisibleSpans(std::span<const kernels::PageRef> pages, int32_t first_row, int32_t last_row,
                                     int window);

/// The pages of span `index`, to be passed to a kernel whole: rows skip by themselves what they do not see.
[[nodiscard]] std::span<const kernels::PageRef> PagesOfSpan(std::span<const kernels::PageRef> pages, int32_t index);

/// How many of `pages`, from the first on, have the format of the first.
[[nodiscard]] size_t FirstOfOneFormat(std::span<const kernels::PageRef> pages);

/// What has been merged into a row's `o`: the sum over its parts of exp(lse - reference) * (the part's o), and of
/// exp(lse - reference) alone in `weight`, with the largest lse as reference. Its lse is reference + ln(weight).
struct MergeState {
  float reference = -std::numeric_limits<float>::infinity();
  float weight = 0;
};

/// Merges the attention result (part_o, part_lse) over one set of keys into (o, state) over the disjoint sets before.
///
/// Shapes: o, part_o [D], D a multiple of 16; `o` need not hold anything before the first merge. A part with lse = -inf
/// (no key seen) changes nothing. The bits depend on the order of the parts. Source: docs/life-of-a-page.md.
void MergePartial(float* __restrict o, MergeState* state, const float* __restrict part_o, float part_lse, int head_dim);

/// The lse of all that has been merged; -inf where no part saw a key.
[[nodiscard]] float LseOf(const MergeState& state);

/// Makes `o` the result over all merged parts, with the bits of the only one where one alone saw a key; zero where none
/// did.
void FinishMerge(float* o, const MergeState& state, int head_dim);

}  // namespace kvasir::kvcache
