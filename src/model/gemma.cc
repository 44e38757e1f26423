// Gemma 3 (arXiv:2503.19786): five layers that see a window of tokens to one that sees everything, each kind with its
// own rotation; norms before and after both branches; queries and keys normed per head; a GELU gate; embeddings scaled
// by sqrt(E). The converter stores norm weights with their 1 already added.

#include <cmath>

#include "base/check.h"
#include "model/architecture.h"
#include "model/prenorm.h"

namespace kvasir::model {
namespace {

constexpr int kDefaultPattern = 6;             // every sixth layer is global
constexpr double kDefaultLocalBase = 10000.0;  // rotation of local layers
constexpr int kLayersOf27B = 62;

Result<ModelConfig> ReadGemma3Config(const MetadataReader& metadata) {
  KV_ASSIGN(ModelConfig config, ReadDecoderConfig(metadata));
  config.embedding_scale = std::sqrt(static_cast<float>(config.embedding));
  if (config.layers == kLayersOf27B) {
    // The 27B model scales scores by its heads' share of E instead of by their size.
    config.attention_scale = 1.0F / std::sqrt(static_cast<float>(config.embedding) / static_cast<float>(config.heads));
  }
  KV_ASSIGN(const int window, metadata.IntOr("attention.sliding_window", 0, 0, 1 << 24));
  KV_ASSIGN(std::vector<bool> local_layers, metadata.LayerPattern("attention.sliding_window_pattern", config.layers));
  for (int l = static_cast<int>(local_layers.size()); l < config.layers; ++l) {
    local_layers.push_back((l + 1) % kDefaultPattern != 0);
  }
  KV_ASSIGN(const double local_base, metadata.FloatOr("rope.freq_base_swa", kDefaultLocalBase, 1, 1e12));
  KV_ASSIGN(ops::RopeSpec global, ReadRope(metadata, config, /*neox=*/true));
  ops::RopeSpec local{ops::BaseFrequencies(global.n_rot(), local_base), 1.0F, true};
  config.ropes = {std::move(global), std::move(local)};
  for (int l = 0; l < config.layers; ++l) {
    const bool is_local = window > 0 && local_layers[static_cast<size_t>(l)];
    config.windows[static_cast<size_t>(l)] = is_local ? window : 0;
    config.rope_of_layer.push_back(is_local ? 1 : 0);
  }
  return config;
}

Status LoadGemma3Layer(WeightLoader& loader, const ModelConfig& config, int layer, LayerWeights& weights) {
  const auto name = [layer](std::string_view part) { return LayerTensor(layer, part); };
  KV_TRY(LoadPrenormLayer(loader, config, layer, weights));
  KV_ASSIGN(weights.q_norm, loader.Vector(name("attn_q_norm.weight"), config.head_dim));
  KV_ASSIGN(weights.k_norm, loader.Vector(name("attn_k_norm.weight"), config.head_dim));
  KV_ASSIGN(weights.post_attention_norm, loader.Vector(name("post_attention_norm.weight"), config.embedding));
  KV_ASSIGN(weights.post_ffn_norm, loader.Vector(name("post_ffw_norm.weight"), config.embedding));
  return {};
}

void RunGemma3Layer(const LayerContext& context) {
  const auto& [ops, batch, config, precision, w, b, layer] = context;
  const int rows = context.rows();

  ops::Activation h = ops.Normalize(b.x, rows, w.attention_norm, config.rms_eps, precision.qkv);
  ops.Project(h, {{&w.q, b.q}, {&w.k, b.k}, {&w.v, b.v}});
  ops.PrepareHeads(batch, context.attention(), context.head_preparation(), b.q, b.k, b.v);
  ops.Attend(batch, context.attention(), b.q, b.attention);
  h = ops.Quantize(b.attention, rows, config.q_features(), precision.attention_out);
  ops.Project(h, {{&w.o, b.branch}});
  ops.AddNormalized(b.x, b.branch, rows, w.post_attention_norm, config.rms_eps);

  h = ops.Normalize(b.x, rows, w.ffn_norm, config.rms_eps, precision.gate_up);
  h = ops.GatedProject(h, w.gate, w.up, ops::GateFunction::kGeluTanh, w.down, precision.down, b.gate, b.up);
  ops.Project(h, {{&w.down, b.branch}});
  ops.AddNormalized(b.x, b.branch, rows, w.post_ffn_norm, config.rms_eps);
}

}  // namespace

const Architecture kGemma3 = {ReadGemma3Config, LoadGemma3Layer, RunGemma3Layer};

}  // namespace kvasir::model
