// The identity of cached content: a chained hash per block of 64 tokens.
//
// Equal hashes mean that keys and values are equal too, because everything they depend on is in the chain: all tokens
// up to the block's end, and through the root the model, the positions' encoding, the page format and the tenant. The
// hash is XXH3-128 (fast, not cryptographic): it names content between honest sequences of one process; whoever shares
// blocks across a trust boundary compares the tokens as well or salts by tenant.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "kvcache/kv_options.h"

namespace kvasir::kvcache {

/// The hash of a block, chained to its predecessor's.
struct BlockHash {
  uint64_t low = 0;
  uint64_t high = 0;
  friend auto operator<=>(const BlockHash&, const BlockHash&) = default;
  /// 32 hexadecimal digits.
  [[nodiscard]] std::string ToString() const;
};

/// The predecessor of block 0: shape, format and the salts of `options`.
[[nodiscard]] BlockHash RootHash(const KvOptions& options, const KvShape& shape);

/// Where the first tokens of a block come from, if a context shift moved them: their keys and values were computed in
/// sight of tokens that are gone, and must not be taken for what the remaining tokens alone would give.
struct BlockOrigin {
  BlockHash seen;  ///< Names all that the moved tokens saw before their block, and how far they moved.
  int32_t moved_tokens =
      0;  ///< So many tokens of the block were moved; later ones were computed in their present place.
};

/// The origin of a block whose `moved_tokens` tokens a shift moves by `delta` positions. Before it the block had origin
/// `old` and stood behind `old_parent`.
[[nodiscard]] BlockOrigin OriginAfterShift(const BlockOrigin& old, const BlockHash& old_parent, int32_t delta,
                                           int32_t moved_tokens);

/// The hash of the block of `tokens` (64 of them) behind `parent`.
[[nodiscard]] BlockHash ChainHash(const BlockHash& parent, std::span<const int32_t> tokens,
                                  const BlockOrigin& origin = {});

}  // namespace kvasir::kvcache

template <>
struct std::hash<kvasir::kvcache::BlockHash> {
  size_t operator()(const kvasir::kvcache::BlockHash& hash) const noexcept { return hash.low; }
};
