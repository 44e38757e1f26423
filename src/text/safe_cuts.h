// SafeCuts: places where no token of a vocabulary can cross, so that a text may be encoded in parts.
//
// The problem: SentencePiece's BPE knows no words; it merges over the whole text, with a heap as long as the text. The
// idea: a merge across the border of characters x and y makes a token in which x and y stand side by side. If no token
// of the vocabulary has that pair, the border is never crossed, and the text may be cut there without changing the
// result. In practice letters are cut before the space mark, so parts are words: they fit the cache, and most are a
// single token. This is exact for any vocabulary; one with a token for every pair just gets no cuts.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kvasir::text {

/// The set of character pairs that occur inside tokens. Immutable after the last AddToken.
class SafeCuts {
 public:
  SafeCuts();

  /// Takes note of the pairs of characters in `token`.
  void AddToken(std::string_view token);

  /// The length of the first part of `text`, at least one character.
  size_t FirstPart(std::string_view text) const;

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};

  static uint64_t KeyOf(char32_t left, char32_t right) { return static_cast<uint64_t>(left) << 32 | right; }
  size_t Locate(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    size_t at = (key * 0x9E3779B97F4A7C15u >> 24) & mask;
    while (slots_[at] != kFree && slots_[at] != key) at = (at + 1) & mask;
    return at;
  }
  bool Joined(char32_t left, char32_t right) const {
    if (left < 128 && right < 128) return ascii_[left][right];
    return slots_[Locate(KeyOf(left, right))] != kFree;
  }
  void Insert(char32_t left, char32_t right);

  std::array<std::array<bool, 128>, 128> ascii_{};  // the common pairs, in few cache lines
  std::vector<uint64_t> slots_;                     // the others: open addressing, at most half full
  size_t count_ = 0;
};

}  // namespace kvasir::text
