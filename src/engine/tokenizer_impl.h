// The public tokenizer's inside.
#pragma once

#include <memory>

#include "files/gguf_reader.h"
#include "grammar/store.h"
#include "kvasir/tokenizer.h"
#include "text/tokenizer.h"

namespace kvasir {

struct Tokenizer::Impl {
  explicit Impl(std::unique_ptr<text::Tokenizer> inner) : inner_(std::move(inner)), grammars_(*inner_) {}
  [[nodiscard]] const text::Tokenizer& tokenizer() const { return *inner_; }
  /// What was compiled for this vocabulary; thread-safe in itself.
  [[nodiscard]] grammar::Store& grammars() const { return grammars_; }

 private:
  std::unique_ptr<text::Tokenizer> inner_;
  mutable grammar::Store grammars_;
};

/// The tokenizer in an encoder's folder.
[[nodiscard]] Result<std::unique_ptr<Tokenizer>> LoadSentenceTokenizer(const std::string& folder);

/// The vocabulary as it stands in the file's tokenizer.ggml.* keys. Errors: a missing token list, wrong types.
[[nodiscard]] Result<text::Vocabulary> VocabularyOf(const files::GgufFile& gguf);

}  // namespace kvasir
