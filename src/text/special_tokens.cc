#include "text/special_tokens.h"

#include <algorithm>

namespace kvasir::text {
namespace {

constexpr std::string_view kAsciiSpaces = " \t\n\v\f\r";

std::vector<int32_t> Sorted(std::vector<int32_t> ids) {
  std::ranges::sort(ids);
  return ids;
}

}  // namespace

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary)
    : strip_left_(Sorted(vocabulary.strip_left)), strip_right_(Sorted(vocabulary.strip_right)) {
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const TokenType type = vocabulary.types[id];
    const bool user_defined = type == TokenType::kUserDefined;
    const bool special = user_defined || type == TokenType::kControl || type == TokenType::kUnknown;
    if (!special || vocabulary.tokens[id].empty()) continue;
    all_.Insert(vocabulary.tokens[id], static_cast<int32_t>(id));
    if (user_defined) user_defined_.Insert(vocabulary.tokens[id], static_cast<int32_t>(id));
  }
}

std::optional<SpecialTokens::Match> SpecialTokens::Find(std::string_view text, bool with_control) const {
  const PrefixTrie& trie = with_control ? all_ : user_defined_;
  if (trie.empty()) return std::nullopt;
  for (size_t at = 0; at < text.size(); ++at) {
    if (trie.Step(PrefixTrie::kRoot, text[at]) == PrefixTrie::kNone) continue;
    const PrefixTrie::Match token = trie.Longest(text.substr(at));
    if (token.id == PrefixTrie::kNone) continue;
    Match match{token.id, at, at + token.length};
    if (std::ranges::binary_search(strip_left_, token.id)) {
      match.begin = text.substr(0, at).find_last_not_of(kAsciiSpaces) + 1;  // npos + 1 is 0: all of it was space
    }
    if (std::ranges::binary_search(strip_right_, token.id)) {
      match.end = std::min(text.find_first_not_of(kAsciiSpaces, match.end), text.size());
    }
    return match;
  }
  return std::nullopt;
}

}  // namespace kvasir::text
