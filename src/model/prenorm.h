// The layer that most decoders share: norm, attention, add; norm, gated feed-forward, add.
#pragma once

#include "model/decoder.h"

namespace kvasir::model {

/// Runs one pre-norm layer with a SiLU gate: Llama, Mistral, Qwen 2 and 3, Phi 3.
void RunPrenormLayer(const LayerContext& context);

/// Binds the tensors of such a layer under their usual names: attn_norm, attn_{q,k,v,output}, ffn_norm,
/// ffn_{gate,up,down}; biases and per-head norms where the file has them.
[[nodiscard]] Status LoadPrenormLayer(WeightLoader& loader, const ModelConfig& config, int layer,
                                      LayerWeights& weights);

/// The two halves of LoadPrenormLayer.
[[nodiscard]] Status LoadAttention(WeightLoader& loader, const ModelConfig& config, int layer, LayerWeights& weights);
[[nodiscard]] Status LoadFeedForward(WeightLoader& loader, const ModelConfig& config, int layer, LayerWeights& weights);

/// "blk.LAYER.NAME".
[[nodiscard]] std::string LayerTensor(int layer, std::string_view name);

}  // namespace kvasir::model
