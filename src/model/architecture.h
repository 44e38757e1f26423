// What one architecture family supplies. A new family is one file that defines one of these, and one line in
// architectures.cc; docs/adding-an-architecture.md walks through it.
#pragma once

#include "model/config.h"
#include "model/decoder.h"

namespace kvasir::model {

struct Architecture {
  /// Reads and checks the configuration.
  Result<ModelConfig> (*read_config)(const MetadataReader& metadata);
  /// Binds the weights of one layer.
  Status (*load_layer)(WeightLoader& loader, const ModelConfig& config, int layer, LayerWeights& weights);
  /// Runs one layer on the residual stream `buffers.x`.
  void (*run_layer)(const LayerContext& context);
};

/// The architecture called `name`, or nullptr.
[[nodiscard]] const Architecture* FindArchitecture(std::string_view name);

// One per file of the same name.
extern const Architecture kLlama;
extern const Architecture kQwen2;
extern const Architecture kQwen3;
extern const Architecture kPhi3;
extern const Architecture kGemma3;

}  // namespace kvasir::model
