// PrefixTrie: all the words that start a text, found in one walk.
//
// The problem: special tokens, WordPiece and Unigram all ask which of many words begin at a place in a text, shortest
// or longest first. The idea: a byte trie whose edges live in one flat hash table keyed by (node, byte), with a direct
// table for the first byte, where most walks end. It needs 16 bytes per edge and one probe per step; a double array
// would be smaller but slower to build, and these tries are built at every load.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kvasir::text {

/// A map from byte strings to ids that is walked byte by byte.
class PrefixTrie {
 public:
  static constexpr int32_t kRoot = 0;
  static constexpr int32_t kNone = -1;

  PrefixTrie();

  /// Adds `word` (not empty) with `id` >= 0; the last of equal words wins.
  void Insert(std::string_view word, int32_t id);

  /// The node reached from `node` by `byte`, or kNone.
  int32_t Step(int32_t node, char byte) const {
    const auto value = static_cast<uint8_t>(byte);
    if (node == kRoot) return first_[value];
    return edges_[Locate(KeyOf(node, value))].to;
  }

  /// The id of the word that ends at `node`, or kNone.
  int32_t IdAt(int32_t node) const { return ids_[static_cast<size_t>(node)]; }

  struct Match {
    int32_t id = kNone;
    size_t length = 0;
  };
  /// The longest word that `text` starts with.
  Match Longest(std::string_view text) const;

  bool empty() const { return ids_.size() == 1; }

 private:
  struct Edge {
    uint64_t key = 0;  // 0 is free: no edge leaves the root here
    int32_t to = kNone;
  };

  static uint64_t KeyOf(int32_t node, uint8_t byte) { return (static_cast<uint64_t>(node) << 8) | byte; }
  size_t Locate(uint64_t key) const {
    const size_t mask = edges_.size() - 1;
    size_t at = (key * 0x9E3779B97F4A7C15u >> 20) & mask;
    while (edges_[at].key != 0 && edges_[at].key != key) at = (at + 1) & mask;
    return at;
  }
  int32_t AddNode();
  void Grow();

  std::array<int32_t, 256> first_;
  std::vector<Edge> edges_;   // a power of two, at most half full
  std::vector<int32_t> ids_;  // by node
};

}  // namespace kvasir::text
