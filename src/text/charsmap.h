// Charsmap: SentencePiece's precompiled table of character replacements (NFKC and the like).
//
// The problem: a Unigram vocabulary was trained on normalised text, and its file carries the normalisation as data. The
// table is a double-array trie over source strings, whose leaves hold offsets into a block of NUL-terminated
// replacements; the longest source string that starts at a place is replaced. Format: u32 little-endian size of the
// trie in bytes, the trie (u32 units), the replacements. A unit holds: bits 0-7 and 31 the label, bit 8 "a leaf hangs
// below", bits 10-30 the offset to its children, shifted by 8 more if bit 9 is set; a leaf holds a value in bits 0-30.
// See Aoe, "An efficient digital search algorithm by using a double-array structure" (1989), and SentencePiece's
// normalizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::text {

/// Immutable. An empty table replaces nothing.
class Charsmap {
 public:
  /// Reads the table from `bytes` (may be empty). kCorrupt if the sizes contradict each other; offsets inside the trie
  /// are checked at each step of Match, so a damaged table gives wrong replacements but never reads outside.
  static Result<Charsmap> Create(std::span<const std::byte> bytes);

  struct Match {
    size_t length = 0;  ///< Bytes of the text that are replaced; 0: none.
    std::string_view replacement;
  };
  /// The longest replacement at the start of `text`.
  Match Longest(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace kvasir::text
