// Qwen 2 (biases on queries, keys and values) and Qwen 3 (no biases, a norm per head on queries and keys instead).
// Rotation of the two halves of a head.

#include "base/check.h"
#include "model/architecture.h"
#include "model/prenorm.h"

namespace kvasir::model {
namespace {

Result<ModelConfig> ReadQwenConfig(const MetadataReader& metadata) {
  KV_ASSIGN(ModelConfig config, ReadDecoderConfig(metadata));
  KV_ASSIGN(ops::RopeSpec rope, ReadRope(metadata, config, /*neox=*/true));
  UseOneRope(config, std::move(rope));
  return config;
}

Status LoadQwen3Layer(WeightLoader& loader, const ModelConfig& config, int layer, LayerWeights& weights) {
  KV_TRY(LoadPrenormLayer(loader, config, layer, weights));
  KV_ASSIGN(weights.q_norm, loader.Vector(LayerTensor(layer, "attn_q_norm.weight"), config.head_dim));
  KV_ASSIGN(weights.k_norm, loader.Vector(LayerTensor(layer, "attn_k_norm.weight"), config.head_dim));
  return {};
}

}  // namespace

const Architecture kQwen2 = {ReadQwenConfig, LoadPrenormLayer, RunPrenormLayer};
const Architecture kQwen3 = {ReadQwenConfig, LoadQwen3Layer, RunPrenormLayer};

}  // namespace kvasir::model
