// The vocabulary of a model as it stands in a GGUF file's `tokenizer.ggml.*` keys: plain data, nothing checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::text {

/// What a token is for; the values are those of `tokenizer.ggml.token_type`.
enum class TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,      ///< Stands for text that no other token can spell.
  kControl = 3,      ///< A mark such as BOS or <|im_end|>: plain text never turns into it.
  kUserDefined = 4,  ///< Cut out of the text before anything else, whatever surrounds it.
  kUnused = 5,
  kByte = 6,  ///< `<0xXX>`: one byte, used where no token spells a character.
};

/// A token id that is not there.
inline constexpr int32_t kNoToken = -1;

/// Everything a Tokenizer is built from. An empty vector, kNoToken or nullopt means that the file has no such key, and
/// the tokenizer's model (`model`) supplies its usual value. Tokenizer::Create checks all of it.
struct Vocabulary {
  std::string model;  ///< "gpt2" byte-level BPE, "llama" SentencePiece BPE, "bert" WordPiece, "t5" Unigram.
  std::string pre;    ///< The pre-tokenizer of a "gpt2" vocabulary, for example "smollm"; empty: "default".

  std::vector<std::string> tokens;  ///< By id.
  std::vector<float> scores;        ///< By id, or empty. "llama" and "t5" need them.
  std::vector<TokenType> types;     ///< By id, or empty: all normal.
  std::vector<std::string> merges;  ///< "left right", best first; "gpt2" only.

  int32_t bos = kNoToken;
  int32_t eos = kNoToken;
  int32_t unk = kNoToken;
  int32_t sep = kNoToken;  ///< GGUF spells its key `seperator_token_id`.
  int32_t pad = kNoToken;
  int32_t cls = kNoToken;  ///< BERT's first token; used as BOS where there is no BOS.
  int32_t mask = kNoToken;
  int32_t eot = kNoToken;  ///< End of a turn of a chat.
  int32_t eom = kNoToken;  ///< End of a message that expects a tool's answer.

  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  std::optional<bool> add_sep;
  std::optional<bool> add_space_prefix;          ///< "llama", "t5": text starts with a space that Decode removes.
  std::optional<bool> remove_extra_whitespaces;  ///< "t5": runs of spaces become one, none at the ends.
  std::optional<bool> lowercase;                 ///< "bert": fold case and drop accents. Default true.
  std::vector<std::byte> precompiled_charsmap;   ///< "t5": SentencePiece's normalisation table, or empty.

  /// Special tokens that swallow the white space before or after them in the text (Phi-3, Jina). No GGUF key says so:
  /// whoever knows the model fills these.
  std::vector<int32_t> strip_left;
  std::vector<int32_t> strip_right;
};

/// Checks what holds for every model: arrays of one length, ids in range, finite scores, sizes that a real vocabulary
/// may have. Tokenizer::Create calls it. Errors: kCorrupt, kResourceExhausted.
Status CheckVocabulary(const Vocabulary& vocabulary);

}  // namespace kvasir::text
