// PreTokenizer: cuts text into the words inside which byte-pair merges happen.
//
// Every family of byte-level vocabularies was trained on words cut in its own way, named by `tokenizer.ggml.pre`. A way
// is a list of regular expressions applied one after the other: each cuts the pieces left by the one before it into its
// matches and what lies between them. The list of ways is in pre_tokenizer_registry.cc; a new one is an entry there.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"
#include "text/pattern.h"

namespace kvasir::text {

/// One way of cutting text, as plain data.
struct PreTokenizerEntry {
  std::span<const std::string_view> names;        ///< Every name GGUF files use for it.
  std::span<const std::string_view> expressions;  ///< In the order of application.
  bool ignore_merges = false;                     ///< A word that is a token is that token, whatever the merges say.
  bool add_bos = false;                           ///< Whether models with it start with BOS if their file does not say.
};

/// All known ways.
std::span<const PreTokenizerEntry> PreTokenizers();

/// A compiled way of cutting. Immutable; safe to use from any number of threads.
class PreTokenizer {
 public:
  /// `name` as in `tokenizer.ggml.pre`; "" means "default". kUnsupported, listing the known names, if it is none of
  /// them.
  static Result<PreTokenizer> Create(std::string_view name);

  /// Appends the words of `text`, in order, to `words`: views into `text` that together are all of it, for any bytes.
  /// A stretch of malformed UTF-8 is a word of its own. Where a pattern hits its work limit, the rest is one word.
  void Split(std::string_view text, std::vector<std::string_view>& words) const;

  bool ignores_merges() const { return ignore_merges_; }
  bool adds_bos() const { return add_bos_; }

 private:
  PreTokenizer(std::vector<Pattern> stages, bool ignore_merges, bool add_bos)
      : stages_(std::move(stages)), ignore_merges_(ignore_merges), add_bos_(add_bos) {}

  void SplitFrom(size_t stage, std::string_view piece, Pattern::Scratch& scratch,
                 std::vector<std::string_view>& words) const;

  std::vector<Pattern> stages_;
  bool ignore_merges_;
  bool add_bos_;
};

}  // namespace kvasir::text
