// Phi 3: Llama's graph with queries, keys and values in one tensor and gate and up in another. Long contexts use
// LongRoPE (arXiv:2402.13753): one factor per pair, a short set and a long one, and a magnitude that grows with the
// context.

#include <cmath>

#include "base/check.h"
#include "model/architecture.h"
#include "model/prenorm.h"

namespace kvasir::model {
namespace {

Result<ModelConfig> ReadPhi3Config(const MetadataReader& metadata) {
  KV_ASSIGN(ModelConfig config, ReadDecoderConfig(metadata));
  KV_ASSIGN(ops::RopeSpec rope, ReadRope(metadata, config, /*neox=*/true));
  UseOneRope(config, std::move(rope));
  return config;
}

Status LoadPhi3Layer(WeightLoader& loader, const ModelConfig& config, int layer, LayerWeights& weights) {
  const auto name = [layer](std::string_view part) { return LayerTensor(layer, part); };
  if (!loader.Has(name("attn_qkv.weight"))) return LoadPrenormLayer(loader, config, layer, weights);
  const int e = config.embedding;
  const int q = config.q_features();
  const int kv = config.kv_features();
  const int f = config.feed_forward;
  KV_ASSIGN(weights.attention_norm, loader.Vector(name("attn_norm.weight"), e));
  KV_ASSIGN(weights.q, loader.LinearRows(name("attn_qkv"), e, q + 2 * kv, 0, q));
  KV_ASSIGN(weights.k, loader.LinearRows(name("attn_qkv"), e, q + 2 * kv, q, kv));
  KV_ASSIGN(weights.v, loader.LinearRows(name("attn_qkv"), e, q + 2 * kv, q + kv, kv));
  KV_ASSIGN(weights.o, loader.Linear(name("attn_output"), q, e));
  KV_ASSIGN(weights.ffn_norm, loader.Vector(name("ffn_norm.weight"), e));
  KV_ASSIGN(weights.gate, loader.LinearRows(name("ffn_up"), e, 2 * f, 0, f));
  KV_ASSIGN(weights.up, loader.LinearRows(name("ffn_up"), e, 2 * f, f, f));
  KV_ASSIGN(weights.down, loader.Linear(name("ffn_down"), f, e));
  return {};
}

}  // namespace

const Architecture kPhi3 = {ReadPhi3Config, LoadPhi3Layer, RunPrenormLayer};

}  // namespace kvasir::model
