// The table of architectures, and loading by name.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <utility>

#include "base/check.h"
#include "model/architecture.h"

namespace kvasir::model {
namespace {

constexpr std::array<std::pair<std::string_view, const Architecture*>, 5> kArchitectures = {{
    {"llama", &kLlama},
    {"qwen2", &kQwen2},
    {"qwen3", &kQwen3},
    {"gemma3", &kGemma3},
    {"phi3", &kPhi3},
}};

Result<const Architecture*> ArchitectureOf(const files::GgufFile& gguf, std::string* name) {
  KV_ASSIGN(*name, gguf.metadata().GetString("general.architecture"));
  if (const Architecture* architecture = FindArchitecture(*name)) return architecture;
  return Fail(ErrorCode::kUnsupported,
              fmt::format("the model's architecture is '{}', which Kvasir does not know; it knows {}", *name,
                          fmt::join(KnownArchitectures(), ", ")));
}

}  // namespace

const Architecture* FindArchitecture(std::string_view name) {
  for (const auto& [known, architecture] : kArchitectures) {
    if (known == name) return architecture;
  }
  return nullptr;
}

std::vector<std::string> KnownArchitectures() {
  std::vector<std::string> names;
  for (const auto& entry : kArchitectures) names.emplace_back(entry.first);
  return names;
}

Result<ModelConfig> ReadConfig(const files::GgufFile& gguf, int context_tokens) {
  std::string name;
  KV_ASSIGN(const Architecture* architecture, ArchitectureOf(gguf, &name));
  return architecture->read_config(MetadataReader(gguf, name, context_tokens));
}

Result<std::unique_ptr<Model>> LoadModel(const files::GgufFile& gguf, const LoadOptions& options) {
  std::string name;
  KV_ASSIGN(const Architecture* architecture, ArchitectureOf(gguf, &name));
  KV_ASSIGN(std::unique_ptr<Model> model, Decoder::Load(gguf, *architecture, options));
  return model;
}

Result<WeightPlan> PlanWeights(const files::GgufFile& gguf, ComputeMode compute, int max_rows) {
  KV_ASSIGN(const ModelConfig config, ReadConfig(gguf, 0));
  WeightPlan plan;
  if (compute != ComputeMode::kExact) plan.weight_bytes = PackedWeightBytes(gguf);
  bool gate_in_f32 = compute == ComputeMode::kExact;
  for (const tensor::TensorView& view : gguf.tensors()) {
    const bool is_float = tensor::Traits(view.dtype).block_elements == 1;
    gate_in_f32 = gate_in_f32 || (is_float && view.name.ends_with("ffn_down.weight"));
  }
  const auto max_k = static_cast<size_t>(std::max({config.embedding, config.q_features(), config.feed_forward}));
  const auto rows = static_cast<size_t>(max_rows);
  // The buffers of a step, then the operators' normed rows (f32) and two sets of codes (2 planes), scales and sums.
  plan.activation_bytes = rows * BufferFloatsPerRow(config, gate_in_f32) * sizeof(float) + rows * max_k * 4 +
                          2 * rows * (2 * max_k + max_k * 3 / 8);
  return plan;
}

}  // namespace kvasir::model
