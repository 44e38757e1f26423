#include "text/charsmap.h"

#include <fmt/format.h>

namespace kvasir::text {
namespace {

uint32_t ReadU32(std::span<const std::byte> bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= std::to_integer<uint32_t>(bytes[at + i]) << (8 * i);
  return value;
}

constexpr bool HasLeaf(uint32_t unit) {
  return ((unit >> 8) & 1) != 0;
}
constexpr uint32_t LabelOf(uint32_t unit) {
  return unit & (0x80000000u | 0xFF);
}
constexpr uint32_t ChildrenOf(uint32_t unit) {
  return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}
constexpr uint32_t ValueOf(uint32_t unit) {
  return unit & 0x7FFFFFFFu;
}

}  // namespace

Result<Charsmap> Charsmap::Create(std::span<const std::byte> bytes) {
  Charsmap map;
  if (bytes.empty()) return map;
  const size_t trie_size = bytes.size() < 4 ? 0 : ReadU32(bytes, 0);
  if (trie_size == 0 || trie_size % 4 != 0 || trie_size > bytes.size() - 4) {
    return Fail(
        ErrorCode::kCorrupt,
        fmt::format("tokenizer.ggml.precompiled_charsmap has {} bytes and claims a trie of {}: the trie must be a "
                    "positive multiple of 4 that fits",
                    bytes.size(), trie_size));
  }
  for (size_t at = 4; at < 4 + trie_size; at += 4) map.units_.push_back(ReadU32(bytes, at));
  const auto strings = bytes.subspan(4 + trie_size);
  map.replacements_.assign(reinterpret_cast<const char*>(strings.data()), strings.size());
  return map;
}

Charsmap::Match Charsmap::Longest(std::string_view text) const {
  Match best;
  if (units_.empty()) return best;
  size_t at = ChildrenOf(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto label = static_cast<uint8_t>(text[i]);
    at ^= label;
    if (label == 0 || at >= units_.size() || LabelOf(units_[at]) != label) break;
    const uint32_t unit = units_[at];
    at ^= ChildrenOf(unit);
    if (!HasLeaf(unit) || at >= units_.size()) continue;
    const uint32_t offset = ValueOf(units_[at]);
    if (offset >= replacements_.size()) continue;
    const std::string_view from = std::string_view(replacements_).substr(offset);
    best = {i + 1, from.substr(0, from.find('\0'))};
  }
  return best;
}

}  // namespace kvasir::text
