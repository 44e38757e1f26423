// StreamDecoder: token ids one at a time in, text that never ends inside a character out.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace kvasir::text {

/// Decodes a stream of tokens for display. The text it has returned so far is always valid UTF-8: the first bytes of an
/// unfinished character are held back until the next token, and bytes that cannot become a character turn into U+FFFD
/// as soon as that is known. All it returned, joined, equals Tokenizer::Decode of the same ids with
/// replace_invalid_utf8. One thread at a time; the tokenizer must outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {})
      : tokenizer_(tokenizer), options_(options), strip_space_(options.strip_space_prefix) {}

  /// Takes the next token and returns the text that is now certain; often the token's, sometimes "".
  std::string Push(int32_t id);

  /// The stream has ended: returns what was held back (U+FFFD for half a character) and starts afresh.
  std::string Flush();

 private:
  const Tokenizer& tokenizer_;
  DecodeOptions options_;
  bool strip_space_;
  std::string held_;  // the beginning of a character, at most 3 bytes between calls
};

}  // namespace kvasir::text
