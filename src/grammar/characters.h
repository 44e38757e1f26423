// Sets of Unicode characters, and how their UTF-8 bytes look.
#pragma once

#include <string_view>
#include <vector>

#include "grammar/expression.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

struct CharacterRange {
  char32_t low = 0;
  char32_t high = 0;
};

/// A set of code points.
class CharacterSet {
 public:
  CharacterSet() = default;
  explicit CharacterSet(std::vector<CharacterRange> ranges) : ranges_(std::move(ranges)) { Tidy(); }

  void Add(char32_t low, char32_t high);
  void Add(const CharacterSet& other);
  /// All Unicode scalar values that are not in this set. Surrogates are in no result.
  [[nodiscard]] CharacterSet Negated() const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  /// Sorted, disjoint, not touching.
  [[nodiscard]] const std::vector<CharacterRange>& ranges() const { return ranges_; }
  /// One character of the set, as UTF-8. Surrogates have none.
  [[nodiscard]] Expr ToExpr() const;

 private:
  void Tidy();
  std::vector<CharacterRange> ranges_;
};

/// Any one character.
[[nodiscard]] Expr AnyCharacter();
/// Any valid UTF-8 text.
[[nodiscard]] Expr AnyText();
/// The characters of a general category ("Lu") or of a group of them ("L"), as utf8proc knows them. kUnsupported for
/// other names, with a list.
[[nodiscard]] Result<CharacterSet> CharactersOfCategory(std::string_view name);

}  // namespace kvasir::grammar
