// Tokenizer: text to token ids and back, for every kind of vocabulary a GGUF file may hold.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"
#include "text/vocabulary.h"

namespace kvasir::text {

class SpecialTokens;
class TokenIndex;
class TokenModel;

struct EncodeOptions {
  bool add_special = true;     ///< Add BOS, EOS or SEP where the model wants them.
  bool parse_special = false;  ///< Read control tokens such as <|im_end|> in the text as tokens: for trusted text
                               ///< (rendered chat templates) only. User-defined tokens are always read.
};

struct DecodeOptions {
  bool skip_special = true;           ///< Control and unknown tokens yield no text; otherwise their own name.
  bool strip_space_prefix = true;     ///< Drop the space that Encode put before the text. False for text that goes on
                                      ///< from a prompt.
  bool replace_invalid_utf8 = false;  ///< U+FFFD for each maximal malformed sequence; otherwise bytes as they are.
};

/// Turns text into tokens and back. Immutable once made; every method may be called from any number of threads.
/// Ids out of range are harmless everywhere: they have no text and no property.
class Tokenizer {
 public:
  /// Checks `vocabulary` and builds the tables. Errors: kUnsupported for an unknown model or pre-tokenizer (the message
  /// lists the known ones), kCorrupt for arrays of unequal length, ids out of range and the like, kResourceExhausted
  /// for vocabularies far beyond any real one.
  static Result<std::unique_ptr<Tokenizer>> Create(Vocabulary vocabulary);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// The token ids of `text`: any bytes, valid UTF-8 or not. With parse_special false, no control token ever comes out
  /// of `text`. Time O(n log n) at worst.
  std::vector<int32_t> Encode(std::string_view text, EncodeOptions options = {}) const;

  /// The text of `ids`. For byte-level BPE, Decode(Encode(x)) == x for any bytes x (if the vocabulary has all 256
  /// bytes).
  std::string Decode(std::span<const int32_t> ids, DecodeOptions options = {}) const;

  /// The bytes that token `id` adds to the text, perhaps part of a character. Control and unknown tokens: their name if
  /// `special`, else nothing.
  std::string Piece(int32_t id, bool special = false) const;

  /// The token's spelling in the vocabulary ("Ġthe", "▁the", "<0x0A>"), "" if out of range.
  const std::string& TokenText(int32_t id) const;

  /// The id spelled exactly `token_text` in the vocabulary, for example "<|im_end|>".
  std::optional<int32_t> FindToken(std::string_view token_text) const;

  int32_t vocab_size() const { return static_cast<int32_t>(vocabulary_->tokens.size()); }
  int32_t bos() const { return vocabulary_->bos; }
  int32_t eos() const { return vocabulary_->eos; }
  int32_t eot() const { return vocabulary_->eot; }
  int32_t eom() const { return vocabulary_->eom; }
  int32_t unk() const { return vocabulary_->unk; }
  int32_t sep() const { return vocabulary_->sep; }
  int32_t pad() const { return vocabulary_->pad; }
  int32_t mask() const { return vocabulary_->mask; }
  bool add_bos() const { return *vocabulary_->add_bos; }
  bool add_eos() const { return *vocabulary_->add_eos; }

  /// True for tokens after which a model has nothing more to say: EOS, EOT, EOM and the control tokens known by name
  /// (<|im_end|>, <|eot_id|>, <end_of_turn>, ...).
  bool IsEndOfGeneration(int32_t id) const;

  /// True for control tokens, which stand for no text.
  bool IsControl(int32_t id) const { return InRange(id) && type(id) == TokenType::kControl; }

  /// The vocabulary, with everything the file left open filled in.
  const Vocabulary& vocabulary() const { return *vocabulary_; }

 private:
  friend class StreamDecoder;

  Tokenizer(std::unique_ptr<const Vocabulary> vocabulary, std::unique_ptr<const TokenModel> model,
            std::unique_ptr<const TokenIndex> index, std::vector<int32_t> end_of_generation);

  bool InRange(int32_t id) const { return id >= 0 && id < vocab_size(); }
  TokenType type(int32_t id) const { return vocabulary_->types[static_cast<size_t>(id)]; }
  void EncodePlain(std::string_view text, std::vector<int32_t>& out) const;
  void AppendPiece(int32_t id, bool special, std::string& out) const;
  // As part of a text; `strip` says that the text starts here and may have a space to drop.
  void AppendDecoded(int32_t id, DecodeOptions options, bool& strip, std::string& out) const;

  std::unique_ptr<const Vocabulary> vocabulary_;  // on the heap: the tables below point into it
  std::unique_ptr<const TokenIndex> index_;       // all tokens
  std::unique_ptr<const TokenModel> model_;
  std::unique_ptr<const SpecialTokens> special_tokens_;
  std::vector<int32_t> end_of_generation_;  // sorted
};

}  // namespace kvasir::text
