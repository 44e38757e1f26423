/// @file
/// Text to tokens and back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"

namespace kvasir {

/// How Tokenizer::Encode reads its text.
struct EncodeOptions {
  bool add_special = true;    ///< Add the beginning- and end-of-text tokens that the model wants.
  bool parse_special = true;  ///< Read texts such as "<|im_start|>" as the special tokens they name.
};

/// A model's tokenizer. Immutable; all members may be called from several threads.
class Tokenizer {
 public:
  /// Reads the tokenizer of a GGUF file, which may hold nothing but a vocabulary, or of an encoder's folder; `model` is
  /// a path or the name of an installed model. Errors: kNotFound, kCorrupt, kUnsupported for a kind of tokenizer that
  /// is not known.
  [[nodiscard]] static Result<std::unique_ptr<Tokenizer>> Load(const std::string& model);

  Tokenizer(Tokenizer&&) noexcept;             ///< Leaves one that may only be assigned to or destroyed.
  Tokenizer& operator=(Tokenizer&&) noexcept;  ///< As the constructor.
  ~Tokenizer();

  /// The tokens of `text`.
  [[nodiscard]] std::vector<int32_t> Encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// The text of `ids`. Ids outside the vocabulary are an error that names the first of them.
  [[nodiscard]] Result<std::string> Decode(std::span<const int32_t> ids, bool skip_special = true) const;
  /// The bytes one token stands for; special tokens give their name. `id` must be in the vocabulary.
  [[nodiscard]] std::string Piece(int32_t id) const;
  /// Whether a model ends its answer with this token.
  [[nodiscard]] bool IsEndOfGeneration(int32_t id) const;
  [[nodiscard]] int32_t vocab_size() const;  ///< V: ids are 0 to V - 1.
  [[nodiscard]] int32_t bos() const;         ///< The beginning-of-text token; -1 where the model has none.
  [[nodiscard]] int32_t eos() const;         ///< The end-of-text token; -1 where the model has none.
  /// Whether Encode with add_special puts a beginning-of-text token first.
  [[nodiscard]] bool adds_bos() const;

  struct Impl;
  /// @private Called by Load.
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  /// @private For the rooms of the library.
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvasir
