// The shape of a model, read from its metadata and checked before anything is allocated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "files/gguf_reader.h"
#include "kvasir/result.h"
#include "ops/rope.h"

namespace kvasir::model {

/// Everything a forward pass needs to know beside its weights.
struct ModelConfig {
  std::string architecture;
  std::string name;
  int layers = 0;           // L
  int heads = 0;            // H
  int kv_heads = 0;         // KVH, divides H
  int head_dim = 0;         // D
  int embedding = 0;        // E
  int feed_forward = 0;     // F
  int vocabulary = 0;       // V
  int trained_context = 0;  // tokens
  float rms_eps = 1e-5F;
  float attention_scale = 0;    // of the scores
  float attention_softcap = 0;  // 0 = off
  float final_softcap = 0;      // 0 = off
  float embedding_scale = 1;
  std::vector<int> windows;          // [L] tokens a query sees, 0 = all
  std::vector<ops::RopeSpec> ropes;  // the distinct rotations
  std::vector<int> rope_of_layer;    // [L] index into `ropes`

  [[nodiscard]] int q_features() const { return heads * head_dim; }
  [[nodiscard]] int kv_features() const { return kv_heads * head_dim; }
};

/// Reads metadata of one architecture: `Get("block_count")` looks up "llama.block_count". Every getter checks type and
/// range; errors name the key, its value and what is allowed.
class MetadataReader {
 public:
  /// `context_tokens` is the longest sequence wanted, 0 for the trained context.
  MetadataReader(const files::GgufFile& gguf, std::string architecture, int context_tokens)
      : gguf_(gguf), architecture_(std::move(architecture)), context_tokens_(context_tokens) {}

  [[nodiscard]] const files::GgufFile& gguf() const { return gguf_; }
  [[nodiscard]] const std::string& architecture() const { return architecture_; }
  [[nodiscard]] int context_tokens() const { return context_tokens_; }
  [[nodiscard]] bool Has(std::string_view key) const;
  [[nodiscard]] Result<int> Int(std::string_view key, int min, int max) const;
  [[nodiscard]] Result<int> IntOr(std::string_view key, int fallback, int min, int max) const;
  [[nodiscard]] Result<double> Float(std::string_view key, double min, double max) const;
  [[nodiscard]] Result<double> FloatOr(std::string_view key, double fallback, double min, double max) const;
  /// A flag per layer: an array of booleans, or a period of which every last layer is false. Empty where absent.
  [[nodiscard]] Result<std::vector<bool>> LayerPattern(std::string_view key, int layers) const;
  [[nodiscard]] Result<std::string> StringOr(std::string_view key, std::string_view fallback) const;

 private:
  [[nodiscard]] std::string FullKey(std::string_view key) const { return architecture_ + "." + std::string(key); }

  const files::GgufFile& gguf_;
  std::string architecture_;
  int context_tokens_;
};

/// What all decoder architectures share: sizes, eps, context, soft caps. Windows are 0 and ropes empty afterwards.
[[nodiscard]] Result<ModelConfig> ReadDecoderConfig(const MetadataReader& metadata);

/// The rotation that the metadata and the tensor rope_freqs.weight describe: none, linear, YaRN, or per-pair factors.
[[nodiscard]] Result<ops::RopeSpec> ReadRope(const MetadataReader& metadata, const ModelConfig& config, bool neox);

/// Makes `rope` the rotation of every layer.
void UseOneRope(ModelConfig& config, ops::RopeSpec rope);

}  // namespace kvasir::model
