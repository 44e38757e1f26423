// What computes the vectors of tokens for an Embedder: an encoder, or a decoder between the steps of its other users.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/pooling.h"
#include "kvasir/embedding.h"
#include "kvasir/result.h"

namespace kvasir {

/// Takes the vector of one token of text `text`; tokens of a text come in order.
using HiddenSink = std::function<void(size_t text, std::span<const float> row)>;

/// Used by one thread at a time.
class EmbeddingBackend {
 public:
  virtual ~EmbeddingBackend() = default;

  [[nodiscard]] virtual const EmbedderInfo& info() const = 0;
  [[nodiscard]] virtual Pooling pooling() const = 0;
  [[nodiscard]] virtual const Tokenizer& tokenizer() const = 0;
  /// How many of `texts` from the front make a good batch; at least one.
  [[nodiscard]] virtual size_t BatchOf(std::span<const std::vector<int32_t>> texts) const = 0;
  /// Computes `texts`, at most as many as BatchOf says, as one batch.
  [[nodiscard]] virtual Status Run(std::span<const std::vector<int32_t>> texts, const std::atomic<bool>* cancel,
                                   const HiddenSink& on_hidden) = 0;
};

/// An encoder's folder. `options` are filled in.
[[nodiscard]] Result<std::unique_ptr<EmbeddingBackend>> MakeEncoderBackend(const EmbedderOptions& options);
/// A decoder that somebody else owns, and perhaps uses.
[[nodiscard]] Result<std::unique_ptr<EmbeddingBackend>> MakeDecoderBackend(Engine& engine, int max_tokens);
/// A decoder of its own.
[[nodiscard]] Result<std::unique_ptr<EmbeddingBackend>> MakeDecoderBackend(std::unique_ptr<Engine> engine,
                                                                           int max_tokens);

/// The number of texts from the front whose tokens, each text's rounded up to a multiple of `unit`, are `most` at most;
/// at least one.
[[nodiscard]] size_t CountThatFit(std::span<const std::vector<int32_t>> texts, size_t most, size_t unit);

}  // namespace kvasir
