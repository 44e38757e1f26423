// WholeWords: remembers which tokens are what encoding their own text gives.
//
// The problem: most words of real text are a token, but a merge tokenizer may not say so before it has run all the
// merges: a few tokens are unreachable and their text splits otherwise. The idea: the answer depends on nothing but the
// vocabulary, so it is found out once per token and kept in one byte. Threads may find it out at the same time; they
// find the same.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace kvasir::text {

/// A three-valued flag per token. Thread-safe.
class WholeWords {
 public:
  explicit WholeWords(size_t vocab_size) : state_(std::make_unique<std::atomic<uint8_t>[]>(vocab_size)) {}

  /// True if encoding the text of `id` gives `id` alone. `compute()` finds out the first time.
  template <typename Compute>
  bool IsWhole(int32_t id, const Compute& compute) const {
    std::atomic<uint8_t>& state = state_[static_cast<size_t>(id)];
    const uint8_t known = state.load(std::memory_order_relaxed);
    if (known != kUnknown) return known == kWhole;
    const bool whole = compute();
    state.store(whole ? kWhole : kSplit, std::memory_order_relaxed);
    return whole;
  }

 private:
  static constexpr uint8_t kUnknown = 0, kWhole = 1, kSplit = 2;
  std::unique_ptr<std::atomic<uint8_t>[]> state_;
};

}  // namespace kvasir::text
