// Compact pages: how full pages are stored once they lie behind the recent tokens.
//
// The problem: a format of few bits wants to see a whole page (a range per channel, a codebook, a few outliers), but
// tokens arrive one by one, and the most recent ones matter most. The idea: pages are written in an open format, token
// by token, and encoded once, when they are full and no longer recent; the first ones, on which attention rests, stay
// open. Both kinds stand in one page table, and attention merges their (o, lse). Sources: KIVI (arXiv:2402.02750) for
// the residual window, KVQuant (arXiv:2401.18079) and StreamingLLM (arXiv:2309.17453) for the sinks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "kernels/compact_page.h"
#include "kernels/kernels.h"

namespace kvasir::kvcache {

/// Pages become compact only when the committed length passes a multiple of this, and no step goes across one
/// (KvSequence::RoomInStep). So which pages a row sees compact depends on its position alone, not on how the tokens
/// came.
inline constexpr int kCompactStep = 256;

/// Which pages of a sequence are compact.
struct CompactRule {
  int recent = 128;  ///< Tokens at the end that stay open.
  int sinks = 4;     ///< Tokens at the start that stay open, rounded up to whole pages.

  /// Blocks [FirstBlock(), EndBlock(committed)) of a sequence of `committed` tokens are compact.
  [[nodiscard]] int32_t FirstBlock() const { return (sinks + kernels::kPageTokens - 1) / kernels::kPageTokens; }
  [[nodiscard]] int32_t EndBlock(int64_t committed) const {
    const int64_t old = committed / kCompactStep * kCompactStep - recent;
    return static_cast<int32_t>(std::max<int64_t>(old / kernels::kPageTokens, FirstBlock()));
  }
};

/// One way to store compact pages, for every layer and head. Immutable and shared by all sequences of an engine; all
/// functions are thread-safe.
class CompactStore {
 public:
  explicit CompactStore(const CompactRule& rule) : rule_(rule) {}
  virtual ~CompactStore() = default;

  [[nodiscard]] const CompactRule& rule() const { return rule_; }
  /// Everything that decides what encoding makes of a page, as a part of the identity of cached content.
  [[nodiscard]] virtual std::string identity() const = 0;
  /// Bytes of a page of `layer`; not more than an open page has.
  [[nodiscard]] virtual size_t PageBytes(int layer) const = 0;
  /// How the kernels read the pages of each layer [L].
  [[nodiscard]] virtual std::span<const kernels::CompactFormat> formats() const = 0;
  /// Whether the stored keys do not depend on the page's position.
  [[nodiscard]] virtual bool position_free(int layer) const = 0;
  /// Stores keys and values [64][D] of the tokens from `first_position` on.
  virtual void Encode(int layer, int kv_head, int32_t first_position, std::span<const float> keys,
                      std::span<const float> values, std::byte* page) const = 0;
  /// Reads them back, as attention sees them.
  virtual void Decode(int layer, int kv_head, int32_t first_position, const std::byte* page, std::span<float> keys,
                      std::span<float> values) const = 0;

 private:
  CompactRule rule_;
};

}  // namespace kvasir::kvcache
