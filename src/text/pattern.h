// Pattern: a compiled regular expression in the dialect that tokenizers use, on top of PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::text {

/// Immutable; Match may be called from any number of threads, each with its own Scratch. Letter case, classes and white
/// space follow Unicode: `\s` is the White_Space property, as in the engines that trained the vocabularies (PCRE2's own
/// `\s` also takes U+180E). `$` matches at the very end only.
class Pattern {
 public:
  /// Working memory of one thread.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

   private:
    friend class Pattern;
    void* match_data_;
  };

  struct Span {
    size_t begin;
    size_t end;
  };

  /// kInvalidArgument with PCRE2's words and the offset if `expression` is malformed.
  static Result<Pattern> Compile(std::string_view expression);

  /// The first non-empty match in `text` that begins at or after `from`; nullopt if there is none or PCRE2's limits on
  /// work were hit. `text` must be valid UTF-8.
  std::optional<Span> Match(std::string_view text, size_t from, Scratch& scratch) const;

 private:
  struct Free {
    void operator()(void* code) const;
  };
  explicit Pattern(void* code, bool jit) : code_(code), jit_(jit) {}

  std::unique_ptr<void, Free> code_;
  bool jit_;
};

}  // namespace kvasir::text
