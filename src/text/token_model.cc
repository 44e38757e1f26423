#include "text/token_model.h"

#include <array>

namespace kvasir::text {

std::span<const TokenModelEntry> TokenModels() {
  static constexpr std::array kModels = {
      TokenModelEntry{"gpt2", CreateByteLevelBpe},
      TokenModelEntry{"llama", CreateSentencePieceBpe},
      TokenModelEntry{"bert", CreateWordPiece},
      TokenModelEntry{"t5", CreateUnigram},
  };
  return kModels;
}

}  // namespace kvasir::text
