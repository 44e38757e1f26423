// TokenIndex: from a token's text to its id, the innermost lookup of every tokenizer here.
//
// The problem: encoding asks "is this text a token?" once or more per word, against up to a quarter of a million
// tokens, and std::unordered_map answers with two cache misses and an allocation per entry. The idea: one flat array of
// (hash tag, id) with linear probing at half load; the text is compared only when 32 bits of the hash already agree, so
// a miss costs one cache line and a hit two.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace kvasir::text {

/// An immutable map from token text to id. Points into the vocabulary it was built from, which must outlive it.
class TokenIndex {
 public:
  /// Indexes the tokens of `tokens` for which `keep(id)` is true. Of equal texts the last one wins. Empty texts are
  /// left out.
  template <typename Keep>
  TokenIndex(std::span<const std::string> tokens, Keep keep) : tokens_(tokens) {
    size_t count = 0;
    for (size_t id = 0; id < tokens.size(); ++id) count += keep(id) ? 1 : 0;
    Reserve(count);
    for (size_t id = 0; id < tokens.size(); ++id) {
      if (keep(id) && !tokens[id].empty()) Insert(static_cast<int32_t>(id));
    }
  }

  /// The id of `text`, or kNoToken.
  int32_t Find(std::string_view text) const;

  /// The length in bytes of the longest token; no longer text can be found.
  size_t longest() const { return longest_; }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t id = kNoToken;
  };

  void Reserve(size_t count);
  void Insert(int32_t id);
  // The slot that holds `text` or, if none does, the free one where it would go.
  size_t Locate(std::string_view text, uint64_t hash) const;

  std::span<const std::string> tokens_;
  std::vector<Slot> slots_;  // a power of two
  size_t longest_ = 0;
};

/// True for tokens that stand for text and so may come out of plain text by their spelling. Control tokens may not: a
/// user who types "<|im_end|>" must not end the turn.
inline bool SpellsText(const Vocabulary& vocabulary, size_t id) {
  const TokenType type = vocabulary.types[id];
  return type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
}

}  // namespace kvasir::text
