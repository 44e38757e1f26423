// Test support: small vocabularies of each kind, made by hand.
#pragma once

#include <string>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/vocabulary.h"

namespace kvasir::text {

/// Byte-level BPE over all 256 bytes (ids 0 to 255 in byte order), some merges, and special tokens from
/// `special_begin`:
/// <|endoftext|> (control, EOS), <|im_end|> (control), "[tool]" (user-defined).
inline Vocabulary ByteLevelVocabularyForTest() {
  Vocabulary v;
  v.model = "gpt2";
  v.pre = "smollm";
  for (int byte = 0; byte < 256; ++byte) v.tokens.push_back(SpellingOfBytes(std::string(1, static_cast<char>(byte))));
  const std::vector<std::pair<std::string, std::string>> merges = {
      {"h", "e"},           {"l", "l"}, {"he", "ll"},         {"hell", "o"},   {" ", "w"},   {"o", "r"},
      {" w", "or"},         {"l", "d"}, {"a", "a"},           {"aa", "aa"},    {"\n", "\n"}, {"\xE2", "\x82"},
      {"\xE2\x82", "\xAC"}, {" ", " "}, {"\xF0\x9F", "\x9A"}, {"\xF0", "\x9F"}};
  for (const auto& [left, right] : merges) {
    v.merges.push_back(SpellingOfBytes(left) + " " + SpellingOfBytes(right));
    v.tokens.push_back(SpellingOfBytes(left + right));
  }
  v.types.assign(v.tokens.size(), TokenType::kNormal);
  v.eos = static_cast<int32_t>(v.tokens.size());
  for (const char* special : {"<|endoftext|>", "<|im_end|>", "[tool]"}) v.tokens.push_back(special);
  v.types.insert(v.types.end(), {TokenType::kControl, TokenType::kControl, TokenType::kUserDefined});
  return v;
}

/// A "llama" vocabulary: <unk> 0, <s> 1, </s> 2, byte tokens 3 to 258, then characters and words with scores that tie.
inline Vocabulary SentencePieceVocabularyForTest() {
  Vocabulary v;
  v.model = "llama";
  v.tokens = {"<unk>", "<s>", "</s>"};
  v.types = {TokenType::kUnknown, TokenType::kControl, TokenType::kControl};
  constexpr char kHex[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    v.tokens.push_back(std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">");
    v.types.push_back(TokenType::kByte);
  }
  v.scores.assign(v.tokens.size(), 0.0f);
  const std::vector<std::pair<std::string, float>> words = {
      {"▁", -20},  {"a", -21}, {"b", -22},   {"c", -23}, {"é", -24}, {"▁a", -1}, {"ab", -2}, {"bc", -2}, {"abc", -3},
      {"▁ab", -4}, {"aa", -5}, {"aaaa", -6}, {"▁▁", -7}, {"éa", -8}, {"c▁", -9}, {"ba", -2}, {"€b", -3}};
  for (const auto& [word, score] : words) {
    v.tokens.push_back(word);
    v.types.push_back(TokenType::kNormal);
    v.scores.push_back(score);
  }
  return v;
}

/// An uncased "bert" vocabulary: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, then word starts with U+2581 and word ends.
inline Vocabulary WordPieceVocabularyForTest() {
  Vocabulary v;
  v.model = "bert";
  v.tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁play", "ing",  "ed",
              "▁cafe", "▁,",    "▁你",   "▁好",   "▁un",   "able", "▁able"};
  v.types.assign(v.tokens.size(), TokenType::kNormal);
  for (size_t id = 0; id < 4; ++id) v.types[id] = TokenType::kControl;
  v.pad = 0, v.unk = 1, v.cls = 2, v.sep = 3;
  return v;
}

}  // namespace kvasir::text
