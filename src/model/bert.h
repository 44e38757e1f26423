// BERT: an encoder that reads a whole text at once and gives a vector per token.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "files/safetensors.h"
#include "kvasir/result.h"
#include "ops/encoder_operators.h"
#include "ops/operators.h"

namespace kvasir::model {

/// The shape of a BERT, as its config.json has it.
struct BertConfig {
  int layers = 0;        // L
  int heads = 0;         // H
  int embedding = 0;     // E, a multiple of H
  int feed_forward = 0;  // F
  int vocabulary = 0;    // V
  int max_positions = 0;
  int token_types = 0;
  float layer_norm_eps = 0;

  [[nodiscard]] int head_dim() const { return embedding / heads; }
};

/// Reads the text of a config.json. Errors: kCorrupt for what is no JSON or out of range; kUnsupported, naming member
/// and value, for another architecture, activation or kind of positions than BERT's own.
[[nodiscard]] Result<BertConfig> ReadBertConfig(std::string_view json);

/// The weights of one layer: matrices with their biases, and the norms after attention and after feed-forward.
struct BertLayer {
  ops::Weight q, k, v, o, up, down;
  std::vector<float> attention_norm, attention_norm_bias;  // [E]
  std::vector<float> output_norm, output_norm_bias;        // [E]
};

/// A loaded BERT with its buffers. Used by one thread at a time.
class BertEncoder {
 public:
  /// Packs the weights of `file`, which must outlive the encoder (embeddings are read from it), for batches of at most
  /// `max_rows` tokens. Errors: tensors that are missing or misshapen, no memory.
  [[nodiscard]] static Result<std::unique_ptr<BertEncoder>> Load(const files::SafetensorsFile& file,
                                                                 const BertConfig& config, base::ThreadPool& pool,
                                                                 int max_rows);

  [[nodiscard]] const BertConfig& config() const { return config_; }
  [[nodiscard]] int max_rows() const { return max_rows_; }
  /// Bytes of packed weights and of buffers.
  [[nodiscard]] size_t memory_bytes() const;
  /// Multiply-adds of one token in the products with weights.
  [[nodiscard]] int64_t macs_per_token() const;

  /// The last layer's vectors [B, E] of `tokens`, the texts of `lengths` one after the other; valid until the next
  /// call. Each text has 1 to max_positions tokens, B is at most max_rows(), and every id is in the vocabulary. A
  /// text's vectors depend neither on the other texts nor on the number of threads. kCancelled when `cancel` was seen
  /// set, which is read at each layer.
  [[nodiscard]] Result<const float*> Encode(std::span<const int32_t> tokens, std::span<const int32_t> lengths,
                                            const std::atomic<bool>* cancel);

 private:
  BertEncoder(const BertConfig& config, int max_rows) : config_(config), max_rows_(max_rows) {}
  Status LoadWeights(const files::SafetensorsFile& file, base::ThreadPool& pool);
  Status Allocate(base::ThreadPool& pool);
  void Embed(std::span<const int32_t> tokens);
  void RunLayer(const BertLayer& layer, int64_t rows);

  BertConfig config_;
  int max_rows_;
  tensor::TensorView token_embedding_;     // [V, E] in the file
  tensor::TensorView position_embedding_;  // [max_positions, E] in the file
  std::vector<float> type_embedding_;      // [E] of type 0: there is one text, never a pair
  std::vector<float> embedding_norm_, embedding_norm_bias_;
  std::vector<BertLayer> layers_;

  std::unique_ptr<ops::Operators> products_;
  std::unique_ptr<ops::EncoderOperators> ops_;
  base::ThreadPool* pool_ = nullptr;
  base::AlignedBuffer arena_;
  float* x_ = nullptr;  // [B, E]
  float *q_ = nullptr, *k_ = nullptr, *v_ = nullptr;
  float* attention_ = nullptr;        // [B, E]
  float* hidden_ = nullptr;           // [B, F]
  std::vector<ops::TextRows> texts_;  // of the batch under way
  std::vector<int32_t> positions_;
};

}  // namespace kvasir::model
