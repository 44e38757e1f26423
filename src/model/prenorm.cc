#include "model/prenorm.h"

#include <fmt/format.h>

#include "base/check.h"

namespace kvasir::model {

void RunPrenormLayer(const LayerContext& context) {
  const auto& [ops, batch, config, precision, w, b, layer] = context;
  const int rows = context.rows();

  ops::Activation h = ops.Normalize(b.x, rows, w.attention_norm, config.rms_eps, precision.qkv);
  ops.Project(h, {{&w.q, b.q}, {&w.k, b.k}, {&w.v, b.v}});
  ops.PrepareHeads(batch, context.attention(), context.head_preparation(), b.q, b.k, b.v);
  ops.Attend(batch, context.attention(), b.q, b.attention);
  h = ops.Quantize(b.attention, rows, config.q_features(), precision.attention_out);
  ops.ProjectAdd(h, w.o, b.x);

  h = ops.Normalize(b.x, rows, w.ffn_norm, config.rms_eps, precision.gate_up);
  h = ops.GatedProject(h, w.gate, w.up, ops::GateFunction::kSilu, w.down, precision.down, b.gate, b.up);
  ops.ProjectAdd(h, w.down, b.x);
}

std::string LayerTensor(int layer, std::string_view name) {
  return fmt::format("blk.{}.{}", layer, name);
}

Status LoadAttention(WeightLoader& loader, const ModelConfig& config, int layer, LayerWeights& weights) {
  const auto name = [layer](std::string_view part) { return LayerTensor(layer, part); };
  const int e = config.embedding;
  KV_ASSIGN(weights.attention_norm, loader.Vector(name("attn_norm.weight"), e));
  KV_ASSIGN(weights.q, loader.Linear(name("attn_q"), e, config.q_features()));
  KV_ASSIGN(weights.k, loader.Linear(name("attn_k"), e, config.kv_features()));
  KV_ASSIGN(weights.v, loader.Linear(name("attn_v"), e, config.kv_features()));
  KV_ASSIGN(weights.o, loader.Linear(name("attn_output"), config.q_features(), e));
  return {};
}

Status LoadFeedForward(WeightLoader& loader, const ModelConfig& config, int layer, LayerWeights& weights) {
  const auto name = [layer](std::string_view part) { return LayerTensor(layer, part); };
  const int e = config.embedding;
  KV_ASSIGN(weights.ffn_norm, loader.Vector(name("ffn_norm.weight"), e));
  KV_ASSIGN(weights.gate, loader.Linear(name("ffn_gate"), e, config.feed_forward));
  KV_ASSIGN(weights.up, loader.Linear(name("ffn_up"), e, config.feed_forward));
  KV_ASSIGN(weights.down, loader.Linear(name("ffn_down"), config.feed_forward, e));
  return {};
}

Status LoadPrenormLayer(WeightLoader& loader, const ModelConfig& config, int layer, LayerWeights& weights) {
  KV_TRY(LoadAttention(loader, config, layer, weights));
  return LoadFeedForward(loader, config, layer, weights);
}

}  // namespace kvasir::model
