#include "grammar/token_trie.h"

#include <algorithm>

#include "base/check.h"
#include "grammar/program.h"

namespace kvasir::grammar {

TokenTrie::TokenTrie(std::vector<std::pair<std::string_view, int32_t>> tokens) {
  std::ranges::sort(tokens);
  std::vector<uint32_t> open;  // the nodes of the text before this one
  std::string_view before;
  const auto close_to = [&](size_t depth) {
    while (open.size() > depth) {
      nodes_[open.back()].skip = static_cast<uint32_t>(nodes_.size());
      open.pop_back();
    }
  };
  for (const auto& [text, token] : tokens) {
    KV_CHECK(!text.empty() && text.size() <= kHorizon);
    const auto shared = static_cast<size_t>(std::ranges::mismatch(before, text).in1 - before.begin());
    close_to(shared);
    const auto at = static_cast<uint32_t>(tokens_.size());
    while (open.size() < text.size()) {
      open.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({.byte = static_cast<uint8_t>(text[open.size() - 1]),
                        .depth = static_cast<uint8_t>(open.size()),
                        .tokens_begin = at,
                        .tokens_end = at});
    }
    tokens_.push_back(token);
    nodes_[open.back()].tokens_end = at + 1;
    before = text;
  }
  close_to(0);
}

TokenTable::TokenTable(const text::Tokenizer& tokenizer) : pieces_(static_cast<size_t>(tokenizer.vocab_size())) {
  std::vector<std::pair<std::string_view, int32_t>> ordinary;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (tokenizer.IsEndOfGeneration(id)) {
      ends_.push_back(id);
      continue;
    }
    const text::TokenType type = tokenizer.vocabulary().types[static_cast<size_t>(id)];
    const bool is_text =
        type == text::TokenType::kNormal || type == text::TokenType::kByte || type == text::TokenType::kUserDefined;
    if (!is_text) continue;
    std::string piece = tokenizer.Piece(id);
    if (piece.empty() || piece.size() > kHorizon) continue;
    std::string& kept = pieces_[static_cast<size_t>(id)];
    kept = std::move(piece);
    ordinary.emplace_back(kept, id);
  }
  trie_ = TokenTrie(std::move(ordinary));
}

}  // namespace kvasir::grammar
