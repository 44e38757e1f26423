// The tokens of a vocabulary as a trie laid out in one array, so that a walk over all of them is a loop.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace kvasir::grammar {

class TokenTrie {
 public:
  /// A byte of some token. The nodes below it follow at once; `skip` is the first node that is not below it.
  struct Node {
    uint8_t byte = 0;
    uint8_t depth = 0;  ///< 1 for first bytes.
    uint32_t skip = 0;
    uint32_t tokens_begin = 0;  ///< tokens()[tokens_begin, tokens_end) end with this byte.
    uint32_t tokens_end = 0;
  };

  TokenTrie() = default;
  /// Texts of 1 to kHorizon bytes with their tokens; several tokens may have the same text.
  explicit TokenTrie(std::vector<std::pair<std::string_view, int32_t>> tokens);

  [[nodiscard]] std::span<const Node> nodes() const { return nodes_; }
  [[nodiscard]] std::span<const int32_t> tokens() const { return tokens_; }

 private:
  std::vector<Node> nodes_;
  std::vector<int32_t> tokens_;
};

/// What constrained answers need to know of a vocabulary. Immutable.
class TokenTable {
 public:
  /// Ordinary text is spelled with normal, byte and user-defined tokens of at most kHorizon bytes.
  explicit TokenTable(const text::Tokenizer& tokenizer);

  [[nodiscard]] int32_t vocab_size() const { return static_cast<int32_t>(pieces_.size()); }
  [[nodiscard]] const TokenTrie& trie() const { return trie_; }
  /// The text of an ordinary token; empty for every other.
  [[nodiscard]] std::string_view piece(int32_t token) const {
    return token >= 0 && token < vocab_size() ? std::string_view(pieces_[static_cast<size_t>(token)])
                                              : std::string_view();
  }
  /// Tokens that end the answer.
  [[nodiscard]] std::span<const int32_t> ends() const { return ends_; }

 private:
  std::vector<std::string> pieces_;
  std::vector<int32_t> ends_;
  TokenTrie trie_;
};

}  // namespace kvasir::grammar
