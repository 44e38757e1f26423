#include "text/token_index.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace kvasir::text {
namespace {

uint64_t HashOf(std::string_view text) {
  return XXH3_64bits(text.data(), text.size());
}
uint32_t TagOf(uint64_t hash) {
  return static_cast<uint32_t>(hash >> 32);
}

}  // namespace

void TokenIndex::Reserve(size_t count) {
  slots_.resize(std::bit_ceil(count * 2 + 1));
}

size_t TokenIndex::Locate(std::string_view text, uint64_t hash) const {
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id == kNoToken) return at;
    if (slot.tag == TagOf(hash) && tokens_[static_cast<size_t>(slot.id)] == text) return at;
  }
}

void TokenIndex::Insert(int32_t id) {
  const std::string& text = tokens_[static_cast<size_t>(id)];
  const uint64_t hash = HashOf(text);
  slots_[Locate(text, hash)] = {TagOf(hash), id};
  longest_ = std::max(longest_, text.size());
}

int32_t TokenIndex::Find(std::string_view text) const {
  if (text.empty() || text.size() > longest_) return kNoToken;
  return slots_[Locate(text, HashOf(text))].id;
}

}  // namespace kvasir::text
