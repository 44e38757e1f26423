#include "kvcache/span.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvasir::kvcache {

SpanRange VisibleSpans(std::span<const kernels::PageRef> pages, int32_t first_row, int32_t last_row, int window) {
  if (pages.empty()) return {};
  const int64_t reach = window == 0 ? 0 : std::max<int64_t>(0, static_cast<int64_t>(first_row) - window + 1);
  const int64_t held_end = static_cast<int64_t>(pages.back().first_position) + pages.back().count;
  const int64_t begin = std::max<int64_t>(reach, pages.front().first_position);
  const int64_t end = std::min<int64_t>(static_cast<int64_t>(last_row) + 1, held_end);
  if (begin >= end) return {};
  return {.begin = static_cast<int32_t>(begin / kSpanTokens), .end = static_cast<int32_t>((end - 1) / kSpanTokens + 1)};
}

std::span<const kernels::PageRef> PagesOfSpan(std::span<const kernels::PageRef> pages, int32_t index) {
  if (pages.empty()) return {};
  const auto from = [&](int64_t position) {
    // Where no page is missing, arithmetic finds it: a search through the pages of a long context misses the cache.
    const int64_t guess = (position - pages.front().first_position) / kernels::kPageTokens;
    if (guess >= 0 && guess < std::ssize(pages) && pages[static_cast<size_t>(guess)].first_position == position) {
      return pages.begin() + guess;
    }
    return std::ranges::lower_bound(pages, position, {},
                                    [](const kernels::PageRef& page) -> int64_t { return page.first_position; });
  };
  const int64_t first = static_cast<int64_t>(index) * kSpanTokens;
  return {from(first), from(first + kSpanTokens)};
}

size_t FirstOfOneFormat(std::span<const kernels::PageRef> pages) {
  const auto other = std::ranges::adjacent_find(
      pages, [](const kernels::PageRef& a, const kernels::PageRef& b) { return a.compact != b.compact; });
  return other == pages.end() ? pages.size() : static_cast<size_t>(other - pages.begin()) + 1;
}

float LseOf(const MergeState& state) {
  return state.weight == 0 ? -std::numeric_limits<float>::infinity() : state.reference + std::log(state.weight);
}

void MergePartial(float* __restrict o, MergeState* state, const float* __restrict part_o, float part_lse,
                  int head_dim) {
  constexpr float kNoKeySeen = -std::numeric_limits<float>::infinity();
  if (part_lse == kNoKeySeen) return;
  if (state->reference == kNoKeySeen) {
    std::copy_n(part_o, head_dim, o);
    *state = {.reference = part_lse, .weight = 1};
    return;
  }
  float kept = 1;
  float added = 1;
  if (part_lse > state->reference) {
    kept = std::exp(state->reference - part_lse);
    state->reference = part_lse;
  } else {
    added = std::exp(part_lse - state->reference);
  }
  state->weight = kept * state->weight + added;
  // Sixteen at a time: a trip count that is known makes the compiler use vectors also at -O2.
  for (int d = 0; d < head_dim; d += 16) {
    for (int i = d; i < d + 16; ++i) o[i] = kept * o[i] + added * part_o[i];
  }
}

void FinishMerge(float* o, const MergeState& state, int head_dim) {
  if (state.weight == 0) {
    std::fill_n(o, head_dim, 0.0F);
    return;
  }
  const float inverse = 1 / state.weight;
  for (int d = 0; d < head_dim; d += 16) {
    for (int i = d; i < d + 16; ++i) o[i] *= inverse;
  }
}

}  // namespace kvasir::kvcache
