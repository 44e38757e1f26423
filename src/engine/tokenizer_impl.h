// The public tokenizer's inside.
#pragma once

#include <memory>

#include "files/gguf_reader.h"
#include "kvasir/tokenizer.h"
#include "text/tokenizer.h"

namespace kvasir {

struct Tokenizer::Impl {
  explicit Impl(std::unique_ptr<text::Tokenizer> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] const text::Tokenizer& tokenizer() const { return *inner_; }

 private:
  std::unique_ptr<text::Tokenizer> inner_;
};

/// The vocabulary as it stands in the file's tokenizer.ggml.* keys. Errors: a missing token list, wrong types.
[[nodiscard]] Result<text::Vocabulary> VocabularyOf(const files::GgufFile& gguf);

}  // namespace kvasir
