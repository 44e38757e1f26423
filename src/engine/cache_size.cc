#include "engine/cache_size.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/check.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"
#include "kvcache/evicted_size.h"

namespace kvasir {
namespace {

constexpr size_t kGib = size_t{1} << 30;
constexpr int64_t kMostBlocks = int64_t{1} << 40;  // beyond any context that 1 GiB can hold

// The most tokens, in whole pages, whose pages never take more than `bytes`. More tokens never take less.
int64_t TokensWithin(const KvSpec& spec, const kvcache::KvShape& shape, const kvcache::KvLayout& layout, int heads,
                     size_t bytes) {
  const auto fits = [&](int64_t blocks) {
    return SequenceBytes(spec, shape, layout, heads, blocks * kernels::kPageTokens) <= bytes;
  };
  int64_t high = 1;
  while (high < kMostBlocks && fits(high)) high *= 2;
  int64_t low = high / 2;
  while (low + 1 < high) {
    const int64_t middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low * kernels::kPageTokens;
}

// What an eviction from a sequence of `context` tokens leaves.
void AddEviction(const KvSpec& spec, const kvcache::KvShape& shape, const kvcache::KvOptions& options, int context,
                 CacheSize* size) {
  const kvcache::EvictionPolicy& policy = **kvcache::FindEvictionPolicy(spec.evict);
  const kvcache::KvLayout layout = options.layout();
  const int budget = EvictionBudget(spec, shape, context, context);
  const kvcache::EvictedSize left =
      kvcache::SizeAfterEviction(policy, shape, layout, context, budget, std::min(options.recent, context / 4));
  size->bytes = left.bytes;
  double bits = 0;
  double kept = 0;
  int without_window = 0;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const double share = static_cast<double>(left.tokens[static_cast<size_t>(layer)]) / context;
    const bool windowed = shape.window(layer) > 0;
    bits += (windowed ? 1 : share) * kvcache::LayerBitsPerElement(shape, layout, layer);
    if (windowed) continue;
    kept += share * context;
    ++without_window;
  }
  size->bits_per_element = bits / shape.layers;
  if (without_window > 0) size->kept_tokens = static_cast<int>(std::lround(kept / without_window));
}

}  // namespace

Result<std::vector<CacheSize>> CacheSizesOf(const files::GgufFile& gguf, const model::ModelConfig& config,
                                            const EngineOptions& options, std::span<const KvSpec> caches) {
  const kvcache::KvShape shape{config.layers, config.kv_heads, config.head_dim, config.windows};
  KV_TRY(shape.Validate());
  const int context = options.context_tokens > 0 ? options.context_tokens : config.trained_context;
  const int longest = std::max(context, config.trained_context);
  std::unique_ptr<const CalibrationData> calibration;  // read once for all: that takes a hash of the whole model
  bool looked = false;
  std::vector<CacheSize> sizes;
  for (const KvSpec& given : caches) {
    KvSpec spec = ResolveKvSpec(given, options.compute);
    const bool wants = WantsCalibration(spec);
    if (wants && !std::exchange(looked, true)) {
      KV_ASSIGN(calibration, CalibrationFor(spec, gguf, options.model, shape));
    }
    KV_ASSIGN(const kvcache::KvOptions kv,
              KvOptionsOf(spec, config, shape, longest, wants ? calibration.get() : nullptr));
    const kvcache::KvLayout layout = kv.layout();
    KV_ASSIGN(spec, WithBudgetInTokens(std::move(spec), shape, layout, longest));
    const double bits = kvcache::BitsPerElement(shape, layout);
    const size_t bytes = kvcache::BytesAt(shape, layout, context);
    CacheSize size{.kv = given,
                   .bits_per_element = bits,
                   .kept_bits_per_element = bits,
                   .bytes = bytes,
                   .whole_bytes = bytes,
                   .peak_bytes = SequenceBytes(spec, shape, layout, config.heads, context),
                   .record_bytes = RecordBytes(spec, shape, config.heads, context),
                   .kept_tokens = context,
                   .tokens_per_gib = TokensWithin(spec, shape, layout, config.heads, kGib),
                   .lacks_calibration = calibration == nullptr && UsesCalibration(spec)};
    if (spec.evicts()) AddEviction(spec, shape, kv, context, &size);
    sizes.push_back(std::move(size));
  }
  return sizes;
}

Result<std::vector<CacheSize>> InspectCaches(const EngineOptions& given, std::span<const KvSpec> caches) {
  EngineOptions options = given;
  KV_ASSIGN(options.model, ResolveModel(given.model));
  KV_TRY(CheckIsDecoder(options.model));
  KV_ASSIGN(const files::GgufFile gguf, files::GgufFile::Open(options.model));
  KV_ASSIGN(const model::ModelConfig config, model::ReadConfig(gguf, options.context_tokens));
  return CacheSizesOf(gguf, config, options, caches);
}

}  // namespace kvasir
