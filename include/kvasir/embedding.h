/// @file
/// Embeddings: a text as one vector, near to those of texts that mean the same.
///
///     auto embedder = kvasir::Embedder::Load({.model = "minilm"});
///     auto vectors = (*embedder)->EmbedTexts({{"A man is eating food.", "Somebody has lunch."}});
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/engine.h"
#include "kvasir/inspect.h"
#include "kvasir/options.h"
#include "kvasir/result.h"
#include "kvasir/tokenizer.h"

namespace kvasir {

/// Options of Embedder::Load.
struct EmbedderOptions {
  /// The folder of an encoder (config.json, model.safetensors and a tokenizer, as sentence-transformers keeps them), a
  /// GGUF file of a decoder, or the name of an installed model of either kind ("minilm").
  std::string model;
  /// Worker threads, the caller's included. 0: one per CPU this process may run on.
  int threads = 0;
  /// The longest text, in tokens. 0: as the encoder's recipe says; of a decoder its trained context, 2048 at most.
  int max_tokens = 0;
  /// Of decoders; an encoder is always computed in f32.
  ComputeMode compute = ComputeMode::kBalanced;
  /// Called on the loading thread.
  std::function<void(const LoadProgress&)> on_progress;
};

/// What a loaded embedder is.
struct EmbedderInfo {
  std::string path;            ///< Of the folder or file.
  std::string name;            ///< Of an encoder its folder's, of a decoder as ModelInfo::name.
  std::string architecture;    ///< "bert", or a decoder's: "llama", ...
  std::string pooling;         ///< How a text's vector is made of its tokens': "mean", "cls" or "max".
  bool normalised = false;     ///< Whether vectors have length 1, so that their product is the cosine.
  int dimensions = 0;          ///< Of a vector.
  int max_tokens = 0;          ///< Of one text, special tokens included.
  int vocabulary = 0;          ///< Tokens: V.
  size_t file_bytes = 0;       ///< Of the weights' file.
  size_t memory_bytes = 0;     ///< Weights, buffers and, for a decoder, the pages of a batch; without the mapped file.
  int64_t macs_per_token = 0;  ///< Multiply-adds in the products with weights.
};

/// A model that turns texts into vectors. Thread-safe: calls of several threads take turns, a batch each.
///
/// An encoder follows the recipe in its folder: which vectors are pooled, and whether the result is normalised. Of a
/// decoder, which nobody trained for this, the vectors of all tokens after the final norm are averaged and normalised.
class Embedder {
 public:
  /// Errors name the file, its value and the way out: what is missing, damaged, or asks for something that Kvasir does
  /// not compute (kUnsupported); memory that does not suffice.
  [[nodiscard]] static Result<std::unique_ptr<Embedder>> Load(const EmbedderOptions& options);
  /// An embedder that uses a loaded decoder, which must outlive it, between the steps of whoever else uses it. It has
  /// key-value pages of its own, which EmbedderInfo::memory_bytes counts. `max_tokens` of a text; 0: as many as the
  /// context holds, 1024 at most.
  [[nodiscard]] static Result<std::unique_ptr<Embedder>> Of(Engine& engine, int max_tokens = 0);

  ~Embedder();
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  [[nodiscard]] const EmbedderInfo& info() const;    ///< What was loaded. Valid as long as this lives.
  [[nodiscard]] const Tokenizer& tokenizer() const;  ///< The model's. Valid as long as this lives.

  /// The tokens of `text` as Embed wants them: with the special tokens that the model was trained with, and with no
  /// special token made of what the text says.
  [[nodiscard]] std::vector<int32_t> Encode(std::string_view text) const;

  /// kInvalidArgument unless Embed can take `tokens`: there is at least one, every id is in the vocabulary, and they
  /// are max_tokens at most. The message names the numbers; nothing is ever cut off.
  [[nodiscard]] Status Check(std::span<const int32_t> tokens) const;

  /// A vector of info().dimensions numbers for each of `texts`, which pass Check. A text's vector does not depend on
  /// the other texts or on the number of threads. Errors: those of Check, naming the text; kCancelled when `cancel` was
  /// seen set (it is read at each layer); no memory.
  [[nodiscard]] Result<std::vector<std::vector<float>>> Embed(std::span<const std::vector<int32_t>> texts,
                                                              const std::atomic<bool>* cancel = nullptr);
  /// The same for texts, as Encode gives their tokens.
  [[nodiscard]] Result<std::vector<std::vector<float>>> EmbedTexts(std::span<const std::string> texts);

  struct Impl;
  /// @private Called by Load and Of.
  explicit Embedder(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

/// Bytes of the key-value pages that Embedder::Of will reserve for the model of that plan.
[[nodiscard]] size_t EmbeddingPageBytes(const MemoryPlan& plan);

/// Whether `model`, a path or a name that ResolveModel knows, is an encoder's folder: of use for embeddings only.
[[nodiscard]] bool IsEncoder(std::string_view model);

}  // namespace kvasir
