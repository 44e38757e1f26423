#include "jinja/dict.h"

#include <algorithm>
#include <functional>

#include "base/check.h"
#include "jinja/operators.h"

namespace kvasir::jinja {

namespace {

/// Below this many entries a scan over the hashes is as fast as a table.
constexpr size_t kSmall = 8;

/// Calls `is_match(entry index)` for the entries that may have `hash` until it says true; gives that index or -1.
template <typename Match>
int64_t Probe(const std::vector<uint32_t>& slots, const std::vector<size_t>& hashes, size_t hash, Match is_match) {
  if (slots.empty()) {
    for (size_t i = 0; i < hashes.size(); ++i) {
      if (hashes[i] == hash && is_match(i)) return static_cast<int64_t>(i);
    }
    return -1;
  }
  const size_t mask = slots.size() - 1;
  for (size_t slot = hash & mask; slots[slot] != UINT32_MAX; slot = (slot + 1) & mask) {
    const uint32_t entry = slots[slot];
    if (hashes[entry] == hash && is_match(entry)) return entry;
  }
  return -1;
}

}  // namespace

Result<const Value*> Dict::Find(Runtime& runtime, const Value& key) const {
  if (key.is_string()) return FindText(key.text());
  KV_ASSIGN(const size_t hash, Hash(runtime, key));
  Status status;
  const int64_t found = Probe(slots_, hashes_, hash, [&](size_t i) {
    auto equal = Equal(runtime, entries_[i].first, key);
    if (equal) return *equal;
    status = std::unexpected(std::move(equal).error());
    return true;
  });
  KV_TRY(std::move(status));
  return found < 0 ? nullptr : &entries_[static_cast<size_t>(found)].second;
}

const Value* Dict::FindText(std::string_view key) const {
  const int64_t found = Probe(slots_, hashes_, HashText(key), [&](size_t i) {
    return entries_[i].first.is_string() && entries_[i].first.text() == key;
  });
  return found < 0 ? nullptr : &entries_[static_cast<size_t>(found)].second;
}

Status Dict::Insert(Runtime& runtime, Value key, Value value) {
  KV_ASSIGN(const size_t hash, Hash(runtime, key));
  KV_ASSIGN(const Value* existing, Find(runtime, key));
  Deepen(std::max(key.depth(), value.depth()) + 1);
  if (existing != nullptr) {
    *const_cast<Value*>(existing) = std::move(value);
    return {};
  }
  entries_.emplace_back(std::move(key), std::move(value));
  hashes_.push_back(hash);
  if (entries_.size() * 2 > slots_.size()) {
    Grow();
  } else {
    Index(entries_.size() - 1);
  }
  return {};
}

void Dict::HoldMemory(Meter& meter) {
  const size_t bytes =
      sizeof(Dict) + entries_.size() * (sizeof(Entry) + sizeof(size_t)) + slots_.size() * sizeof(uint32_t);
  held_ = std::make_unique<Held>(&meter, bytes);
}

void Dict::Index(size_t entry) {
  const size_t mask = slots_.size() - 1;
  size_t slot = hashes_[entry] & mask;
  while (slots_[slot] != kEmpty) slot = (slot + 1) & mask;
  slots_[slot] = static_cast<uint32_t>(entry);
}

void Dict::Grow() {
  if (entries_.size() <= kSmall) return;
  slots_.assign(std::max<size_t>(slots_.size() * 2, kSmall * 4), kEmpty);
  for (size_t i = 0; i < entries_.size(); ++i) Index(i);
}

}  // namespace kvasir::jinja
