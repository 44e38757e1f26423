#include "model/decoder.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/check.h"
#include "model/architecture.h"
#include "model/packed_cache.h"

namespace kvasir::model {
namespace {

constexpr int64_t kLogitRows = 64;

}  // namespace

ops::AttentionSpec LayerContext::attention() const {
  return {.layer = layer,
          .heads = config.heads,
          .kv_heads = config.kv_heads,
          .head_dim = config.head_dim,
          .scale = config.attention_scale,
          .window = config.windows[static_cast<size_t>(layer)],
          .softcap = config.attention_softcap};
}

ops::HeadPreparation LayerContext::head_preparation() const {
  return {.q_norm = weights.q_norm,
          .k_norm = weights.k_norm,
          .eps = config.rms_eps,
          .rope = config.rope_of_layer[static_cast<size_t>(layer)]};
}

size_t BufferFloatsPerRow(const ModelConfig& config, bool gate_in_f32) {
  return static_cast<size_t>(2 * config.embedding + 2 * config.q_features() + 2 * config.kv_features() +
                             (gate_in_f32 ? 2 * config.feed_forward : 0));
}

Decoder::Decoder(const Architecture& architecture, ModelConfig config, const LoadOptions& options)
    : architecture_(architecture), config_(std::move(config)), precision_(PrecisionOf(options.compute)) {}

Result<std::unique_ptr<Decoder>> Decoder::Load(const files::GgufFile& gguf, const Architecture& architecture,
                                               const LoadOptions& options) {
  KV_ASSIGN(ModelConfig config, ReadConfig(gguf, options.context_tokens));
  std::unique_ptr<Decoder> decoder(new Decoder(architecture, std::move(config), options));
  KV_TRY(decoder->LoadWeights(gguf, options));
  KV_TRY(decoder->AllocateBuffers(options));
  return decoder;
}

Status Decoder::LoadWeights(const files::GgufFile& gguf, const LoadOptions& options) {
  const bool exact = options.compute == ComputeMode::kExact;
  if (!exact) {
    // Each weight begins on a cache line of its own.
    const size_t bytes = PackedWeightBytes(gguf) + gguf.tensors().size() * base::kCacheLineBytes;
    KV_ASSIGN(weights_, ops::WeightArena::Create(bytes));
  }
  std::optional<PackedCache> cache;
  if (!exact && !options.packed_cache.empty()) {
    cache.emplace(options.packed_cache, gguf);
    weights_.set_filled(cache->Read(weights_, *options.pool, options.on_progress));
  }
  WeightLoader loader(gguf, exact, *options.pool, weights_, options.on_progress);
  KV_ASSIGN(embedding_, loader.Matrix("token_embd.weight", config_.embedding, config_.vocabulary));
  layers_.resize(static_cast<size_t>(config_.layers));
  for (int l = 0; l < config_.layers; ++l) {
    KV_TRY(architecture_.load_layer(loader, config_, l, layers_[static_cast<size_t>(l)]));
  }
  KV_ASSIGN(output_norm_, loader.Vector("output_norm.weight", config_.embedding));
  const char* head = loader.Has("output.weight") ? "output" : "token_embd";
  KV_ASSIGN(head_, loader.Linear(head, config_.embedding, config_.vocabulary));
  if (cache && !weights_.filled() && weights_.complete()) return cache->Write(weights_, *options.pool);
  return {};
}

Status Decoder::AllocateBuffers(const LoadOptions& options) {
  const auto rows = static_cast<size_t>(options.max_rows);
  const bool gate_in_f32 = std::any_of(layers_.begin(), layers_.end(), [](const LayerWeights& layer) {
    return layer.down.form() != ops::WeightForm::kPacked;
  });
  KV_ASSIGN(arena_, base::AlignedBuffer::Create(rows * BufferFloatsPerRow(config_, gate_in_f32) * sizeof(float)));
  auto* next = reinterpret_cast<float*>(arena_.data());
  const auto take = [&](int features) { return std::exchange(next, next + rows * static_cast<size_t>(features)); };
  buffers_ = {.x = take(config_.embedding),
              .q = take(config_.q_features()),
              .k = take(config_.kv_features()),
              .v = take(config_.kv_features()),
              .attention = take(config_.q_features()),
              .branch = take(config_.embedding),
              .gate = gate_in_f32 ? take(config_.feed_forward) : nullptr,
              .up = gate_in_f32 ? take(config_.feed_forward) : nullptr};
  const int64_t max_k = std::max({config_.embedding, config_.q_features(), config_.feed_forward});
  KV_ASSIGN(ops_, ops::Operators::Create(*options.pool, {.max_rows = options.max_rows,
                                                         .max_k = max_k,
                                                         .source_weights = options.compute == ComputeMode::kExact}));
  return {};
}

Status Decoder::Forward(const ops::Batch& batch, const LogitSink& on_logits) {
  ops_->BeginStep(batch, config_.ropes);
  ops_->Embed(embedding_, batch.tokens, config_.embedding_scale, buffers_.x);
  for (int l = 0; l < config_.layers; ++l) {
    if (batch.cancelled()) return Fail(ErrorCode::kCancelled, "the request was cancelled");
    architecture_.run_layer({*ops_, batch, config_, precision_, layers_[static_cast<size_t>(l)], buffers_, l});
  }
  if (!batch.hidden) return RunHead(batch, on_logits);
  GiveHidden(batch, on_logits);
  return {};
}

void Decoder::GatherRows(std::span<const int32_t> rows) {
  const int64_t e = config_.embedding;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(buffers_.x + rows[i] * e, e, buffers_.branch + static_cast<int64_t>(i) * e);
  }
}

void Decoder::GiveHidden(const ops::Batch& batch, const LogitSink& on_hidden) {
  const int64_t e = config_.embedding;
  const auto rows = static_cast<int64_t>(batch.logit_rows.size());
  GatherRows(batch.logit_rows);
  const ops::Activation normed =
      ops_->Normalize(buffers_.branch, rows, output_norm_, config_.rms_eps, ops::Precision::kF32);
  on_hidden(0, {normed.f32, static_cast<size_t>(rows * e)});
}

Status Decoder::RunHead(const ops::Batch& batch, const LogitSink& on_logits) {
  const int64_t v = config_.vocabulary;
  const auto count = static_cast<int64_t>(batch.logit_rows.size());
  // A vocabulary may have hundreds of thousands of tokens, so logits are made for some rows at a time.
  const int64_t at_a_time = std::min(count, kLogitRows);
  const size_t bytes = static_cast<size_t>(at_a_time * v) * sizeof(float);
  if (logits_.size() < bytes) {
    KV_ASSIGN(logits_, base::AlignedBuffer::Create(bytes));
  }
  auto* logits = reinterpret_cast<float*>(logits_.data());
  for (int64_t begin = 0; begin < count; begin += at_a_time) {
    const int64_t rows = std::min(at_a_time, count - begin);
    GatherRows(batch.logit_rows.subspan(static_cast<size_t>(begin), static_cast<size_t>(rows)));
    const ops::Activation normed =
        ops_->Normalize(buffers_.branch, rows, output_norm_, config_.rms_eps, precision_.head);
    ops_->Project(normed, {{&head_, logits}});
    ops_->Softcap(logits, config_.final_softcap, rows, v);
    on_logits(static_cast<int>(begin), {logits, static_cast<size_t>(rows * v)});
  }
  return {};
}

template <typename F>
void Decoder::ForEachWeight(F&& fn) const {
  for (const LayerWeights& w : layers_) {
    for (const ops::Weight* weight : {&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down}) fn(*weight);
  }
}

size_t Decoder::weight_bytes() const {
  size_t bytes = head_.owned_bytes();
  ForEachWeight([&](const ops::Weight& weight) { bytes += weight.owned_bytes(); });
  return bytes;
}

size_t Decoder::weight_bytes_per_token() const {
  size_t bytes = head_.bytes() + embedding_.row_bytes();
  ForEachWeight([&](const ops::Weight& weight) { bytes += weight.bytes(); });
  return bytes;
}

int64_t Decoder::body_macs() const {
  int64_t macs = 0;
  ForEachWeight([&](const ops::Weight& weight) { macs += weight.n() * weight.k(); });
  return macs;
}

}  // namespace kvasir::model
