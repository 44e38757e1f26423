#include "model/config.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/check.h"
#include "tensor/dequantize.h"

namespace kvasir::model {
namespace {

constexpr int kMaxHeadDim = 512;  // what the attention kernels hold

Status CheckRange(std::string_view key, double value, double min, double max) {
  if (value >= min && value <= max) return {};
  return Fail(ErrorCode::kCorrupt, fmt::format("{} is {}; Kvasir accepts {} to {}", key, value, min, max));
}

// A vector of factors, one per rotated pair.
Result<std::vector<float>> PairFactors(const files::GgufFile& gguf, const std::string& name, int pairs) {
  KV_ASSIGN(const tensor::TensorView view, gguf.GetTensor(name));
  if (view.elements() != pairs || !tensor::Traits(view.dtype).dequantisable) {
    return Fail(ErrorCode::kCorrupt, fmt::format("tensor '{}' has {} elements of type {}; wanted are {} numbers", name,
                                                 view.elements(), tensor::DTypeName(view.dtype), pairs));
  }
  std::vector<float> factors(static_cast<size_t>(pairs));
  tensor::DequantizeRow(view.dtype, view.data, factors.data(), pairs);
  for (const float factor : factors) {
    if (!(factor > 0) || !std::isfinite(factor)) {
      return Fail(ErrorCode::kCorrupt,
                  fmt::format("tensor '{}' holds the factor {}; factors are positive", name, factor));
    }
  }
  return factors;
}

// LongRoPE (arXiv:2402.13753): a factor per pair, chosen by whether the model's context is beyond the original one.
Status ApplyLongRope(const MetadataReader& metadata, const ModelConfig& config, ops::RopeSpec& rope) {
  KV_ASSIGN(const int original,
            metadata.IntOr("rope.scaling.original_context_length", config.trained_context, 1, 1 << 30));
  const int context = metadata.context_tokens() > 0 ? metadata.context_tokens() : config.trained_context;
  const bool is_long = context > original;
  const int pairs = static_cast<int>(rope.frequencies.size());
  KV_ASSIGN(const std::vector<float> factors,
            PairFactors(metadata.gguf(), is_long ? "rope_factors_long.weight" : "rope_factors_short.weight", pairs));
  for (size_t i = 0; i < factors.size(); ++i) rope.frequencies[i] /= factors[i];
  const double growth = static_cast<double>(config.trained_context) / original;
  const double usual = growth <= 1 ? 1.0 : std::sqrt(1 + std::log(growth) / std::log(static_cast<double>(original)));
  if (!metadata.Has("rope.scaling.attn_factor")) rope.magnitude = static_cast<float>(usual);
  return {};
}

Result<ops::RopeSpec> ReadYarn(const MetadataReader& metadata, const ModelConfig& config, int n_rot, double base,
                               double factor) {
  ops::YarnOptions yarn{.factor = factor};
  KV_ASSIGN(yarn.original_context,
            metadata.FloatOr("rope.scaling.original_context_length", config.trained_context, 1, 1 << 30));
  KV_ASSIGN(yarn.extrapolation, metadata.FloatOr("rope.scaling.yarn_ext_factor", 1, 0, 1));
  KV_ASSIGN(yarn.attention_factor, metadata.FloatOr("rope.scaling.yarn_attn_factor", 1, 0.001, 1000));
  KV_ASSIGN(yarn.beta_fast, metadata.FloatOr("rope.scaling.yarn_beta_fast", 32, 0.001, 1e6));
  KV_ASSIGN(yarn.beta_slow, metadata.FloatOr("rope.scaling.yarn_beta_slow", 1, 0.001, 1e6));
  return ops::YarnRope(n_rot, base, yarn);
}

}  // namespace

bool MetadataReader::Has(std::string_view key) const {
  return gguf_.metadata().Has(FullKey(key));
}

Result<int> MetadataReader::Int(std::string_view key, int min, int max) const {
  KV_ASSIGN(const int64_t value, gguf_.metadata().GetI64(FullKey(key)));
  KV_TRY(CheckRange(FullKey(key), static_cast<double>(value), min, max));
  return static_cast<int>(value);
}

Result<int> MetadataReader::IntOr(std::string_view key, int fallback, int min, int max) const {
  if (!Has(key)) return fallback;
  return Int(key, min, max);
}

Result<double> MetadataReader::Float(std::string_view key, double min, double max) const {
  const files::GgufValue* value = gguf_.metadata().Find(FullKey(key));
  double number = 0;
  if (value != nullptr && !value->is_array() && value->type != files::GgufType::kF32 &&
      value->type != files::GgufType::kF64) {
    KV_ASSIGN(const int64_t integer, gguf_.metadata().GetI64(FullKey(key)));  // writers are not strict about it
    number = static_cast<double>(integer);
  } else {
    KV_ASSIGN(const float real, gguf_.metadata().GetF32(FullKey(key)));
    number = real;
  }
  KV_TRY(CheckRange(FullKey(key), number, min, max));
  return number;
}

Result<double> MetadataReader::FloatOr(std::string_view key, double fallback, double min, double max) const {
  if (!Has(key)) return fallback;
  return Float(key, min, max);
}

Result<std::vector<bool>> MetadataReader::LayerPattern(std::string_view key, int layers) const {
  std::vector<bool> pattern;
  const files::GgufValue* value = gguf_.metadata().Find(FullKey(key));
  if (value == nullptr) return pattern;
  if (value->is_array()) {
    KV_ASSIGN(pattern, gguf_.metadata().GetBools(FullKey(key)));
    if (static_cast<int>(pattern.size()) != layers) {
      return Fail(ErrorCode::kCorrupt,
                  fmt::format("{} has {} entries for {} layers", FullKey(key), pattern.size(), layers));
    }
    return pattern;
  }
  KV_ASSIGN(const int period, Int(key, 1, 1 << 20));
  for (int l = 0; l < layers; ++l) pattern.push_back((l + 1) % period != 0);
  return pattern;
}

Result<std::string> MetadataReader::StringOr(std::string_view key, std::string_view fallback) const {
  KV_ASSIGN(const std::string_view value, gguf_.metadata().GetString(FullKey(key), fallback));
  return std::string(value);
}

Result<ModelConfig> ReadDecoderConfig(const MetadataReader& metadata) {
  ModelConfig config;
  config.architecture = metadata.architecture();
  KV_ASSIGN(const std::string_view name, metadata.gguf().metadata().GetString("general.name", config.architecture));
  config.name = name;
  KV_ASSIGN(config.layers, metadata.Int("block_count", 1, 1024));
  KV_ASSIGN(config.embedding, metadata.Int("embedding_length", 1, 1 << 17));
  KV_ASSIGN(config.feed_forward, metadata.Int("feed_forward_length", 1, 1 << 20));
  KV_ASSIGN(config.trained_context, metadata.Int("context_length", 1, 1 << 28));
  KV_ASSIGN(config.heads, metadata.Int("attention.head_count", 1, 4096));
  KV_ASSIGN(config.kv_heads, metadata.IntOr("attention.head_count_kv", config.heads, 1, 4096));
  if (config.heads % config.kv_heads != 0) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("{} query heads cannot share {} key-value heads evenly", config.heads, config.kv_heads));
  }
  KV_ASSIGN(config.head_dim, metadata.IntOr("attention.key_length", config.embedding / config.heads, 1, kMaxHeadDim));
  KV_ASSIGN(const int value_dim, metadata.IntOr("attention.value_length", config.head_dim, 1, kMaxHeadDim));
  if (config.head_dim < 1 || config.head_dim > kMaxHeadDim || config.head_dim % 16 != 0 ||
      value_dim != config.head_dim) {
    return Fail(
        ErrorCode::kUnsupported,
        fmt::format("keys have {} features and values {}; Kvasir wants them equal, a multiple of 16, at most {}",
                    config.head_dim, value_dim, kMaxHeadDim));
  }
  KV_ASSIGN(const double eps, metadata.Float("attention.layer_norm_rms_epsilon", 0, 1));
  config.rms_eps = static_cast<float>(eps);
  const double usual_scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  KV_ASSIGN(const double scale, metadata.FloatOr("attention.scale", usual_scale, 0, 1e4));
  config.attention_scale = static_cast<float>(scale == 0 ? usual_scale : scale);
  KV_ASSIGN(const double attention_cap, metadata.FloatOr("attn_logit_softcapping", 0, 0, 1e6));
  KV_ASSIGN(const double final_cap, metadata.FloatOr("final_logit_softcapping", 0, 0, 1e6));
  config.attention_softcap = static_cast<float>(attention_cap);
  config.final_softcap = static_cast<float>(final_cap);

  KV_ASSIGN(const tensor::TensorView embedding, metadata.gguf().GetTensor("token_embd.weight"));
  if (embedding.dims != 2 || embedding.row_elements() != config.embedding || embedding.rows() > (1 << 24)) {
    return Fail(ErrorCode::kCorrupt, fmt::format("tensor 'token_embd.weight' is [{} x {}], but embedding_length is {}",
                                                 embedding.row_elements(), embedding.rows(), config.embedding));
  }
  config.vocabulary = static_cast<int>(embedding.rows());
  config.windows.assign(static_cast<size_t>(config.layers), 0);
  return config;
}

Result<ops::RopeSpec> ReadRope(const MetadataReader& metadata, const ModelConfig& config, bool neox) {
  KV_ASSIGN(const int n_rot, metadata.IntOr("rope.dimension_count", config.head_dim, 2, config.head_dim));
  if (n_rot % 2 != 0) return Fail(ErrorCode::kCorrupt, fmt::format("rope.dimension_count is {}, an odd number", n_rot));
  KV_ASSIGN(const double base, metadata.FloatOr("rope.freq_base", 10000.0, 1, 1e12));
  KV_ASSIGN(double factor, metadata.FloatOr("rope.scaling.factor", 1, 1e-3, 1e6));
  if (metadata.Has("rope.scale_linear")) {  // the key of old files
    KV_ASSIGN(factor, metadata.Float("rope.scale_linear", 1e-3, 1e6));
  }
  KV_ASSIGN(const std::string type, metadata.StringOr("rope.scaling.type", "linear"));

  ops::RopeSpec rope;
  rope.frequencies = ops::BaseFrequencies(n_rot, base);
  if (type == "yarn") {
    KV_ASSIGN(rope, ReadYarn(metadata, config, n_rot, base, factor));
  } else if (type == "longrope") {
    KV_TRY(ApplyLongRope(metadata, config, rope));
  } else if (type == "linear") {
    for (double& frequency : rope.frequencies) frequency /= factor;
  } else if (type != "none") {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("rope.scaling.type is '{}'; Kvasir knows none, linear, yarn and longrope", type));
  }
  if (type != "longrope" && metadata.gguf().FindTensor("rope_freqs.weight") != nullptr) {
    KV_ASSIGN(const std::vector<float> factors, PairFactors(metadata.gguf(), "rope_freqs.weight", n_rot / 2));
    for (size_t i = 0; i < factors.size(); ++i) rope.frequencies[i] /= factors[i];
  }
  KV_ASSIGN(const double magnitude, metadata.FloatOr("rope.scaling.attn_factor", 1, 0.001, 1000));
  rope.magnitude *= static_cast<float>(magnitude);
  rope.neox = neox;
  return rope;
}

void UseOneRope(ModelConfig& config, ops::RopeSpec rope) {
  config.ropes = {std::move(rope)};
  config.rope_of_layer.assign(static_cast<size_t>(config.layers), 0);
}

}  // namespace kvasir::model
