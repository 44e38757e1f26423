// What every decoder has in common: weights per layer, the buffers of a step, and the loop over layers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "model/config.h"
#include "model/model.h"
#include "model/precision.h"
#include "model/weight_loader.h"
#include "ops/operators.h"

namespace kvasir::model {

/// The weights of one layer. What an architecture lacks stays empty.
struct LayerWeights {
  std::vector<float> attention_norm;  // [E]
  ops::Weight q, k, v, o;
  std::vector<float> q_norm, k_norm;       // [D] per head, before the rotation
  std::vector<float> post_attention_norm;  // [E]
  std::vector<float> ffn_norm;             // [E]
  ops::Weight gate, up, down;
  std::vector<float> post_ffn_norm;  // [E]
};

/// The activations of a step, each [B, ...] f32.
struct Buffers {
  float* x = nullptr;          // [B, E] the residual stream
  float* q = nullptr;          // [B, H*D]
  float* k = nullptr;          // [B, KVH*D]
  float* v = nullptr;          // [B, KVH*D]
  float* attention = nullptr;  // [B, H*D]
  float* branch = nullptr;     // [B, E] the output of a branch that is normed before it is added
  float* gate = nullptr;       // [B, F], or null where it is quantised at once
  float* up = nullptr;         // the same
};

/// What a layer's forward pass is given.
struct LayerContext {
  ops::Operators& ops;
  const ops::Batch& batch;
  const ModelConfig& config;
  const PrecisionPolicy& precision;
  const LayerWeights& weights;
  const Buffers& buffers;
  int layer;

  [[nodiscard]] int rows() const { return batch.rows(); }
  [[nodiscard]] ops::AttentionSpec attention() const;
  [[nodiscard]] ops::HeadPreparation head_preparation() const;
};

struct Architecture;

/// A decoder-only transformer: embedding, L layers of its architecture, final norm and head.
class Decoder : public Model {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Decoder>> Load(const files::GgufFile& gguf,
                                                             const Architecture& architecture,
                                                             const LoadOptions& options);

  [[nodiscard]] const ModelConfig& config() const override { return config_; }
  [[nodiscard]] size_t weight_bytes() const override;
  [[nodiscard]] size_t weight_bytes_per_token() const override;
  [[nodiscard]] int64_t body_macs() const override;
  [[nodiscard]] int64_t head_macs() const override { return head_.n() * head_.k(); }
  [[nodiscard]] size_t activation_bytes() const override {
    return arena_.size() + logits_.size() + ops_->workspace_bytes();
  }
  [[nodiscard]] Status Forward(const ops::Batch& batch, const LogitSink& on_logits) override;

 private:
  Decoder(const Architecture& architecture, ModelConfig config, const LoadOptions& options);
  Status LoadWeights(const files::GgufFile& gguf, const LoadOptions& options);
  Status AllocateBuffers(const LoadOptions& options);
  Status RunHead(const ops::Batch& batch, const LogitSink& on_logits);
  void GiveHidden(const ops::Batch& batch, const LogitSink& on_hidden);
  /// Copies the rows of x that stand in `rows` to `branch`.
  void GatherRows(std::span<const int32_t> rows);
  template <typename F>
  void ForEachWeight(F&& fn) const;

  const Architecture& architecture_;
  ModelConfig config_;
  PrecisionPolicy precision_;
  tensor::TensorView embedding_;  // [V, E] in the file
  ops::WeightArena weights_;      // the bytes of all packed weights
  std::vector<LayerWeights> layers_;
  std::vector<float> output_norm_;
  ops::Weight head_;  // [V, E], the embedding where the file has no head of its own
  base::AlignedBuffer arena_;
  base::AlignedBuffer logits_;  // f32 [rows, V] of a part of a step's logit rows, grown when first needed
  Buffers buffers_;
  std::unique_ptr<ops::Operators> ops_;
};

/// Floats per row that the buffers of a step take. `gate_in_f32`: whether gate and up are kept as floats, because the
/// product after them is not one of quantised weights.
[[nodiscard]] size_t BufferFloatsPerRow(const ModelConfig& config, bool gate_in_f32);

}  // namespace kvasir::model
