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
  const auto from = [&](int64_t position) {
    return std::ranges::lower_bound(pages, position, {},
                                    [](const kernels::PageRef& page) -> int64_t { return page.first_position; });
  };
  const int64_t first = static_cast<int64_t>(index) * kSpanTokens;
  return {from(first), from(first + kSpanTokens)};
}

void MergePartial(float* __restrict o, float* lse, const float* __restrict other_o, float other_lse, int head_dim) {
  constexpr float kNoKeySeen = -std::numeric_limits<float>::infinity();
  if (other_lse == kNoKeySeen) return;
  if (*lse == kNoKeySeen) {
    std::copy_n(other_o, head_dim, o);
    *lse = other_lse;
    return;
  }
  const double max = std::max(*lse, other_lse);
  const double weight = std::exp(*lse - max);
  const double other_weight = std::exp(other_lse - max);
  const double sum = weight + other_weight;
  const auto share = static_cast<float>(weight / sum);
  const auto other_share = static_cast<float>(other_weight / sum);
  // Sixteen at a time: a trip count that is known makes the compiler use vectors also at -O2.
  for (int d = 0; d < head_dim; d += 16) {
    for (int i = d; i < d + 16; ++i) o[i] = share * o[i] + other_share * other_o[i];
  }
  *lse = static_cast<float>(max + std::log(sum));
}

}  // namespace kvasir::kvcache
