// Python's dict: insertion order, any hashable key, constant-time lookup.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace kvasir::jinja {

/// An ordered map from Value to Value. Keys equal in Python (1, 1.0 and True) are one key; the first one stays.
class Dict final : public Object {
 public:
  using Entry = std::pair<Value, Value>;

  std::string_view type_name() const override { return "dict"; }

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] size_t size() const { return entries_.size(); }

  /// The value of `key`, or null. Errors: an unhashable key.
  [[nodiscard]] Result<const Value*> Find(Runtime& runtime, const Value& key) const;
  /// The value of a string key, or null.
  [[nodiscard]] const Value* FindText(std::string_view key) const;
  /// Adds `key`, or changes its value. Only while the dict is being made. Errors: an unhashable key.
  Status Insert(Runtime& runtime, Value key, Value value);
  /// Counts the dict as in use from now on: it is complete.
  void HoldMemory(Meter& meter);

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;

  void Index(size_t entry);
  void Grow();

  std::vector<Entry> entries_;
  std::vector<size_t> hashes_;  ///< of each entry's key
  std::unique_ptr<Held> held_;
  std::vector<uint32_t> slots_;  ///< open addressing over entries_; a power of two, or empty while there are few
};

}  // namespace kvasir::jinja
