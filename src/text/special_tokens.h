// SpecialTokens: finds the tokens that are cut out of the text before any algorithm sees it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/prefix_trie.h"
#include "text/vocabulary.h"

namespace kvasir::text {

/// User-defined tokens are always found; control and unknown tokens only where the caller trusts the text. The leftmost
/// token wins, the longest of those that start there. Immutable and thread-safe.
class SpecialTokens {
 public:
  explicit SpecialTokens(const Vocabulary& vocabulary);

  struct Match {
    int32_t id;
    size_t begin;  ///< What stands before it ends here, and
    size_t end;    ///< what stands after it begins here: stripped white space lies between.
  };
  /// The first special token of `text`.
  std::optional<Match> Find(std::string_view text, bool with_control) const;

 private:
  PrefixTrie user_defined_;
  PrefixTrie all_;
  std::vector<int32_t> strip_left_;  // sorted
  std::vector<int32_t> strip_right_;
};

}  // namespace kvasir::text
