// TokenModel: one algorithm that turns plain text into tokens, and the list of all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"
#include "text/vocabulary.h"

namespace kvasir::text {

/// An algorithm with its tables. Immutable; all methods may be called from any number of threads.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  /// Appends the tokens of `text` to `out`. `text` is any bytes, under 4 GiB, without special tokens: it starts where
  /// the whole text starts or right after a special token.
  virtual void Encode(std::string_view text, std::vector<int32_t>& out) const = 0;

  /// Appends the bytes that `id` stands for: a normal, unused or byte token inside the vocabulary.
  virtual void AppendText(int32_t id, std::string& out) const = 0;

  /// True if Encode puts a space before the text, which decoding should take away again.
  virtual bool adds_space_prefix() const = 0;
};

/// Fills in what `vocabulary` leaves open with the model's usual values, then builds the model, which keeps a
/// reference. Tokenizer::Create has checked everything that no single model owns: `types` has an entry for each token,
/// ids are in range or kNoToken, scores are finite and one per token or absent, and sizes are within reason.
using TokenModelFactory = Result<std::unique_ptr<const TokenModel>> (*)(Vocabulary& vocabulary);

struct TokenModelEntry {
  std::string_view name;  ///< As in `tokenizer.ggml.model`.
  TokenModelFactory create;
};

/// Every model this build knows. To add one, write its file and add its line in token_model.cc.
std::span<const TokenModelEntry> TokenModels();

Result<std::unique_ptr<const TokenModel>> CreateByteLevelBpe(Vocabulary& vocabulary);
Result<std::unique_ptr<const TokenModel>> CreateSentencePieceBpe(Vocabulary& vocabulary);
Result<std::unique_ptr<const TokenModel>> CreateWordPiece(Vocabulary& vocabulary);
Result<std::unique_ptr<const TokenModel>> CreateUnigram(Vocabulary& vocabulary);

/// Gives `id` the value `usual` if the file named none and the vocabulary has such a token.
inline void SetIfAbsent(int32_t& id, int32_t usual, const Vocabulary& vocabulary) {
  if (id == kNoToken && static_cast<size_t>(usual) < vocabulary.tokens.size()) id = usual;
}

}  // namespace kvasir::text
