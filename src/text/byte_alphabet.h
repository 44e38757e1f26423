// The byte alphabet of GPT-2: every byte has a printable character, so that vocabularies and merges can be text files.
//
// Printable Latin-1 bytes stand for themselves; the other 68 are numbered upwards from U+0100 ("Ġ" is the space). From
// Radford et al., "Language models are unsupervised multitask learners" (2019), and the code published with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvasir::text {

/// The bytes that a token's spelling stands for; nullopt if it has a character outside the alphabet.
std::optional<std::string> BytesOfSpelling(std::string_view spelling);

/// The spelling of `bytes`.
std::string SpellingOfBytes(std::string_view bytes);

}  // namespace kvasir::text
