// The texts that contain a word are any* word any*; ours are the others. As a deterministic automaton that is the one
// of Aho and Corasick: a state is the longest end of the text that begins a word.
#include "grammar/text_without.h"

#include "base/check.h"
#include "grammar/characters.h"

namespace kvasir::grammar {

Result<Dfa> TextWithout(const std::vector<std::string>& words) {
  std::vector<Expr> parts;
  for (const std::string& word : words) {
    if (!word.empty()) parts.push_back(Exactly(word));
  }
  KV_ASSIGN(Dfa text, DfaOf(AnyText()));
  if (parts.empty()) return text;
  const Expr any = Times(Bytes({{0, 255}}), 0, -1);
  KV_ASSIGN(const Dfa with, DfaOf(InOrderOf({any, AnyOfThese(std::move(parts)), any})));
  return Intersection(text, Complement(with));
}

}  // namespace kvasir::grammar
