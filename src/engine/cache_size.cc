#include "engine/cache_size.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"

namespace kvasir {
namespace {

constexpr size_t kGib = size_t{1} << 30;
constexpr int64_t kMostBlocks = int64_t{1} << 40;  // beyond any context that 1 GiB can hold

// The most tokens, in whole pages, whose pages never take more than `bytes`. More tokens never take less.
int64_t TokensWithin(const kvcache::KvShape& shape, const kvcache::KvLayout& layout, size_t bytes) {
  const auto fits = [&](int64_t blocks) {
    return kvcache::PeakBytes(shape, layout, blocks * kernels::kPageTokens, kMaxBatchRows) <= bytes;
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
    const KvSpec spec = ResolveKvSpec(given, options.compute);
    const bool wants = WantsCalibration(spec);
    if (wants && !std::exchange(looked, true)) {
      KV_ASSIGN(calibration, CalibrationFor(spec, gguf, options.model, shape));
    }
    KV_ASSIGN(const kvcache::KvOptions kv,
              KvOptionsOf(spec, config, shape, longest, wants ? calibration.get() : nullptr));
    const kvcache::KvLayout layout = kv.layout();
    CacheSize size{.kv = given,
                   .bits_per_element = kvcache::BitsPerElement(shape, layout),
                   .bytes = kvcache::BytesAt(shape, layout, context),
                   .peak_bytes = kvcache::PeakBytes(shape, layout, context, kMaxBatchRows),
                   .tokens_per_gib = TokensWithin(shape, layout, kGib)};
    size.peak_bytes += EvictionBytes(spec, shape, layout, context, size.peak_bytes);
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
