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

/// The hash of the block of `tokens` (64 of them) behind `parent`.
[[nodiscard]] BlockHash ChainHash(const BlockHash& parent, std::span<const int32_t> tokens);

/// The new hash of a block that a context shift moved by `delta` positions, behind its new predecessor. Its keys were
/// computed in sight of tokens that are gone, so it must equal no hash of the tokens that remain.
[[nodiscard]] BlockHash ShiftedHash(const BlockHash& new_parent, const BlockHash& old_hash, int32_t delta);

}  // namespace kvasir::kvcache

template <>
struct std::hash<kvasir::kvcache::BlockHash> {
  size_t operator()(const kvasir::kvcache::BlockHash& hash) const noexcept { return hash.low; }
};
