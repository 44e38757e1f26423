// What SentencePiece's two kinds of vocabulary ("llama" and "t5") share: spaces written as U+2581, and byte tokens.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace kvasir::text {

/// Appends `text` to `out` with U+2581 for each space.
void AppendEscapingSpaces(std::string_view text, std::string& out);

/// The byte that a byte token's spelling names: 0x0A for "<0x0A>"; nullopt unless it is exactly "<0x", two hexadecimal
/// digits and ">".
std::optional<uint8_t> ByteOfSpelling(std::string_view spelling);

/// Appends the text of token `id` to `out`: the byte of a byte token, else the spelling with spaces for U+2581.
void AppendSentencePieceText(const Vocabulary& vocabulary, int32_t id, std::string& out);

/// The byte tokens of a vocabulary, for text that no other token can spell. Tokens of type byte with a malformed
/// spelling are passed over.
class ByteTokens {
 public:
  explicit ByteTokens(const Vocabulary& vocabulary);

  /// Appends a token per byte of `bytes`, or nothing and returns false if one of them has none.
  bool Append(std::string_view bytes, std::vector<int32_t>& out) const;

 private:
  std::array<int32_t, 256> ids_;
};

}  // namespace kvasir::text
