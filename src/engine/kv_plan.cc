#include "engine/kv_plan.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/check.h"
#include "kvcache/codec.h"
#include "kvcache/half_codec.h"
#include "kvcache/packed_store.h"

namespace kvasir {
namespace {

constexpr int kMostOutliers = 255;  // of half a page

Status CheckLayers(const KvSpec& spec, int layers) {
  for (const KvSpec::Layers& each : spec.layers) {
    if (each.last < layers) continue;
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the cache specification '{}' speaks of layer {}, but the model has layers 0 to {}",
                            KvSpecText(spec), each.last, layers - 1));
  }
  return {};
}

// A specification may be made by hand and not by ParseKvSpec.
Status CheckEviction(const KvSpec& spec) {
  if (!spec.evicts()) return {};
  KV_ASSIGN([[maybe_unused]] const kvcache::EvictionPolicy* policy, kvcache::FindEvictionPolicy(spec.evict));
  const bool share = spec.budget_share > 0 && spec.budget_share <= 1;
  if (spec.budget_tokens > 0 ? spec.budget_share == 0 : share) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("evict={} needs either budget_tokens or a budget_share up to 1, but they are {} and {}",
                          spec.evict, spec.budget_tokens, spec.budget_share));
}

Result<kernels::CompactHalf> HalfOf(const KvSpec& spec, bool keys, int layer, int head_dim) {
  std::string_view name = keys ? spec.keys : spec.values;
  for (const KvSpec::Layers& each : spec.layers) {  // the last one that says something counts
    if (each.keys == keys && each.first <= layer && layer <= each.last) name = each.codec;
  }
  KV_ASSIGN(const kvcache::HalfCodec* codec, kvcache::FindHalfCodec(name));
  kernels::CompactHalf half = keys ? codec->keys : codec->values;
  if (spec.outliers) {
    const auto count = std::lround(*spec.outliers * head_dim * kernels::kPageTokens);
    if (count > kMostOutliers) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("outliers={} are {} of the {} elements of a page's half, but it holds at most {}",
                              *spec.outliers, count, head_dim * kernels::kPageTokens, kMostOutliers));
    }
    half.outliers = static_cast<uint8_t>(count);
  }
  return half;
}

std::vector<kvcache::KeyRope> RopesOf(const model::ModelConfig& config) {
  std::vector<kvcache::KeyRope> ropes;
  for (const ops::RopeSpec& rope : config.ropes) ropes.push_back({rope.frequencies, rope.magnitude, rope.neox});
  return ropes;
}

}  // namespace

KvSpec ResolveKvSpec(const KvSpec& spec, ComputeMode compute) {
  KvSpec resolved = spec;
  if (spec.open == "auto") resolved.open = compute == ComputeMode::kExact ? "f32" : "f16";
  return resolved;
}

Result<kvcache::KvOptions> KvOptionsOf(const KvSpec& spec, const model::ModelConfig& config,
                                       const kvcache::KvShape& shape, int context_tokens) {
  kvcache::KvOptions options;
  KV_TRY(CheckEviction(spec));
  KV_ASSIGN(const kvcache::Codec* open, kvcache::FindCodec(spec.open));
  options.format = open->format();
  if (!spec.compact()) return options;
  KV_TRY(CheckLayers(spec, config.layers));
  KvSpec whole = spec;  // what a page holds does not depend on which tokens are forgotten later
  whole.evict.clear();
  kvcache::PackedStoreOptions store{.rule = {.recent = spec.recent, .sinks = spec.sinks},
                                    .ropes = RopesOf(config),
                                    .rope_of_layer = config.rope_of_layer,
                                    .context_tokens = context_tokens,
                                    .identity = KvSpecText(whole)};
  for (int layer = 0; layer < config.layers; ++layer) {
    kernels::CompactFormat format;
    KV_ASSIGN(format.key, HalfOf(spec, true, layer, config.head_dim));
    KV_ASSIGN(format.value, HalfOf(spec, false, layer, config.head_dim));
    store.layers.push_back(format);
  }
  KV_ASSIGN(options.compact, kvcache::PackedStore::Create(shape, options.format, std::move(store)));
  return options;
}

kvcache::AttentionTraits AttentionTraitsOf(const model::ModelConfig& config) {
  return {.heads = config.heads,
          .scale = config.attention_scale,
          .softcap = config.attention_softcap,
          .ropes = RopesOf(config),
          .rope_of_layer = config.rope_of_layer};
}

}  // namespace kvasir
