// Llama 1 to 3 and what shares their graph: Mistral, SmolLM, TinyLlama. Rotation of neighbouring pairs (the converter
// permutes the weights of queries and keys for it); Llama 3's long-context factors come as the tensor
// rope_freqs.weight.

#include "base/check.h"
#include "model/architecture.h"
#include "model/prenorm.h"

namespace kvasir::model {
namespace {

Result<ModelConfig> ReadLlamaConfig(const MetadataReader& metadata) {
  KV_ASSIGN(ModelConfig config, ReadDecoderConfig(metadata));
  KV_ASSIGN(ops::RopeSpec rope, ReadRope(metadata, config, /*neox=*/false));
  UseOneRope(config, std::move(rope));
  return config;
}

}  // namespace

const Architecture kLlama = {ReadLlamaConfig, LoadPrenormLayer, RunPrenormLayer};

}  // namespace kvasir::model
