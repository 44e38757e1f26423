#include "engine/kv_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <utility>

#include "base/check.h"
#include "engine/attention_record.h"
#include "engine/engine_impl.h"
#include "kvcache/codec.h"
#include "kvcache/evicted_size.h"
#include "kvcache/half_codec.h"
#include "kvcache/packed_store.h"

namespace kvasir {
namespace {

constexpr int kMostOutliersOfHalf = 255;               // of half a page
constexpr int64_t kMostTextTokens = int64_t{1} << 30;  // of a text

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
  const int given =
      (spec.budget_tokens > 0 ? 1 : 0) + (spec.budget_bytes > 0 ? 1 : 0) + (spec.budget_share > 0 ? 1 : 0);
  if (given == 1 && spec.budget_share <= 1) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("evict={} needs one of budget_tokens, budget_bytes and a budget_share up to 1, but they are "
                          "{}, {} and {}",
                          spec.evict, spec.budget_tokens, spec.budget_bytes, spec.budget_share));
}

Result<const kvcache::HalfCodec*> CodecOf(const KvSpec& spec, bool keys, int layer) {
  std::string_view name = keys ? spec.keys : spec.values;
  for (const KvSpec::Layers& each : spec.layers) {  // the last one that says something counts
    if (each.keys == keys && each.first <= layer && layer <= each.last) name = each.codec;
  }
  return kvcache::FindHalfCodec(name);
}

const FittedLevels& LevelsOf(const KvSpec& spec, const kernels::CompactHalf& half, bool keys, int layer,
                             const CalibrationData& calibration) {
  const LevelSets& sets = !keys              ? calibration.value_levels
                          : half.before_rope ? calibration.key_levels
                                             : calibration.late_key_levels;
  const auto& levels = spec.changes.measured_weights.value_or(true) ? sets.measured : sets.even;
  return levels[static_cast<size_t>(layer)];
}

Result<kernels::CompactHalf> HalfOf(const KvSpec& spec, const kvcache::HalfCodec& codec, bool keys, int layer,
                                    int head_dim, const CalibrationData* calibration) {
  kernels::CompactHalf half = keys ? codec.keys : codec.values;
  const double share = spec.outliers.value_or(keys ? codec.key_outliers : codec.value_outliers);
  const int64_t count = kvcache::OutlierCount(share, head_dim);
  if (count > kMostOutliersOfHalf) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} of the {} elements of a page's half are to be outliers, but it holds at most {}", count,
                            head_dim * kernels::kPageTokens, kMostOutliersOfHalf));
  }
  half.outliers = static_cast<uint8_t>(count);
  if (keys) half.before_rope = spec.changes.before_rope.value_or(half.before_rope);
  if (codec.fitted && spec.changes.fitted_levels.value_or(true) && calibration != nullptr) {
    const FittedLevels& levels = LevelsOf(spec, half, keys, layer, *calibration);
    std::ranges::copy(levels[static_cast<size_t>(half.bits - kFewestFittedBits)], half.level);
  }
  return half;
}

// What encoders are told of the keys of a layer's head.
kvcache::HalfCalibration KeyCalibrationOf(const KvSpec& spec, const kvcache::HalfCodec& codec,
                                          const kernels::CompactHalf& half, size_t head,
                                          const CalibrationData* calibration) {
  kvcache::HalfCalibration of_head;
  if (calibration == nullptr) return of_head;
  // Errors are steered by what queries look for before RoPE.
  if (codec.feedback && half.before_rope) of_head = calibration->keys[head];
  if (spec.changes.static_ranges.value_or(false)) {
    const auto& ranges = (half.before_rope ? calibration->key_ranges : calibration->late_key_ranges)[head];
    of_head.low = half.outliers > 0 ? ranges.low : ranges.least;
    of_head.high = half.outliers > 0 ? ranges.high : ranges.most;
  }
  return of_head;
}

// Whether a codec that `spec` names, for keys or for values, is what `is` asks for.
bool AnyCodec(const KvSpec& spec, const std::function<bool(const kvcache::HalfCodec&, bool keys)>& is) {
  const auto named = [&](const std::string& name, bool keys) {
    const auto codec = kvcache::FindHalfCodec(name);
    return codec && is(**codec, keys);
  };
  return named(spec.keys, true) || named(spec.values, false) ||
         std::ranges::any_of(spec.layers, [&](const auto& each) { return named(each.codec, each.keys); });
}

// Whether there is no doing without.
bool NeedsCalibration(const KvSpec& spec) {
  return spec.changes.static_ranges.value_or(false) || !spec.changes.measured_weights.value_or(true);
}

// Comparisons need more than other calibrations, which may be older, hold.
Status CheckKnown(const KvSpec& spec, const CalibrationData* calibration) {
  const KvSpec::Changes& changes = spec.changes;
  const bool late = calibration != nullptr && !changes.before_rope.value_or(true);  // levels for keys after RoPE
  const bool needed = NeedsCalibration(spec) || late;
  const bool known =
      calibration != nullptr && !calibration->key_ranges.empty() && !calibration->late_key_levels.even.empty();
  if (!needed || known) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("the cache specification '{}' needs {}: run 'kvasir calibrate' for this model",
                          KvSpecText(spec), calibration == nullptr ? "a calibration" : "a newer calibration"));
}

std::vector<kvcache::KeyRope> RopesOf(const model::ModelConfig& config) {
  std::vector<kvcache::KeyRope> ropes;
  ropes.reserve(config.ropes.size());
  for (const ops::RopeSpec& rope : config.ropes) ropes.push_back({rope.frequencies, rope.magnitude, rope.neox});
  return ropes;
}

}  // namespace

KvSpec ResolveKvSpec(const KvSpec& spec, ComputeMode compute) {
  KvSpec resolved = spec;
  if (spec.open == "auto") resolved.open = compute == ComputeMode::kExact ? "f32" : "f16";
  return resolved;
}

Result<kvcache::KvOptions> KvOptionsOf(const KvSpec& given, const model::ModelConfig& config,
                                       const kvcache::KvShape& shape, int context_tokens,
                                       const CalibrationData* calibration) {
  kvcache::KvOptions options;
  KV_TRY(CheckEviction(given));
  KV_ASSIGN(const KvSpec spec, WithBitsByLayer(given, calibration, config.head_dim));
  KV_ASSIGN(const kvcache::Codec* open, kvcache::FindCodec(spec.open));
  options.format = open->format();
  if (spec.endless()) options.recent = kernels::kPageTokens;  // the budget says what stays
  if (!spec.compact()) return options;
  KV_TRY(CheckLayers(spec, config.layers));
  KV_TRY(CheckKnown(spec, calibration));
  KvSpec whole = spec;  // what a page holds does not depend on which tokens are forgotten later
  whole.evict.clear();
  kvcache::PackedStoreOptions store{
      .rule = {.recent = spec.recent, .sinks = spec.sinks},
      .ropes = RopesOf(config),
      .rope_of_layer = config.rope_of_layer,
      .context_tokens = context_tokens,
      .identity = fmt::format("{}, {} calibration", KvSpecText(whole), calibration == nullptr ? "no" : "with")};
  for (int layer = 0; layer < config.layers; ++layer) {
    KV_ASSIGN(const kvcache::HalfCodec* keys, CodecOf(spec, true, layer));
    KV_ASSIGN(const kvcache::HalfCodec* values, CodecOf(spec, false, layer));
    kernels::CompactFormat format;
    KV_ASSIGN(format.key, HalfOf(spec, *keys, true, layer, config.head_dim, calibration));
    KV_ASSIGN(format.value, HalfOf(spec, *values, false, layer, config.head_dim, calibration));
    store.layers.push_back(format);
    const bool fixed = spec.changes.static_ranges.value_or(false);
    store.key_choices.emplace_back(fixed ? kvcache::RangeChoice::kStatic : keys->key_range,
                                   spec.changes.qnorm.value_or(keys->qnorm));
    store.value_choices.emplace_back(values->value_range, spec.changes.qnorm.value_or(values->qnorm));
    for (int head = 0; head < config.kv_heads; ++head) {
      const auto index = static_cast<size_t>(layer * config.kv_heads + head);
      store.key_calibration.push_back(KeyCalibrationOf(spec, *keys, format.key, index, calibration));
    }
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

Result<KvSpec> WithBudgetInTokens(KvSpec spec, const kvcache::KvShape& shape, const kvcache::KvLayout& layout,
                                  int context_tokens) {
  const size_t bytes = std::exchange(spec.budget_bytes, 0);
  if (bytes == 0) return spec;
  const auto needs = [&](int64_t tokens) {
    return kvcache::MostBytesHeld(shape, layout, context_tokens, tokens + kEvictionSlack, spec.endless());
  };
  int64_t low = 0;  // the most that is known to fit
  int64_t high = kMostBudgetTokens + 1;
  while (low + 1 < high) {
    const int64_t middle = low + (high - low) / 2;
    (needs(middle) <= bytes ? low : high) = middle;
  }
  if (low < kLeastBudgetTokens) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a budget of {} bytes is too small for this model and context: {} tokens, the fewest that "
                            "may be kept, and {} more until the next eviction take {} bytes",
                            bytes, kLeastBudgetTokens, kEvictionSlack, needs(kLeastBudgetTokens)));
  }
  spec.budget_tokens = static_cast<int>(low);
  return spec;
}

int EvictionBudget(const KvSpec& spec, const kvcache::KvShape& shape, int context_tokens, int text_tokens) {
  const int budget = spec.BudgetOf(text_tokens);
  if (!spec.endless()) return budget;
  const int least = kvcache::LeastBudget(**kvcache::FindEvictionPolicy(spec.evict), shape);
  return std::max({std::min(budget, context_tokens - kEvictionSlack), least, kernels::kPageTokens});
}

size_t RecordBytes(const KvSpec& spec, const kvcache::KvShape& shape, int heads, int64_t tokens) {
  if (!spec.evicts()) return 0;
  return AttentionRecord::MostBytes(shape, (*kvcache::FindEvictionPolicy(spec.evict))->needs(), heads, tokens);
}

size_t SequenceBytes(const KvSpec& spec, const kvcache::KvShape& shape, const kvcache::KvLayout& layout, int heads,
                     int64_t context) {
  const size_t pages = kvcache::PeakBytes(shape, layout, context, kMaxBatchRows);
  if (!spec.evicts()) return pages;
  const size_t record = RecordBytes(spec, shape, heads, context);
  if (!spec.endless()) return pages + pages / static_cast<size_t>(shape.layers) + record;
  const auto text = static_cast<int>(std::min(context, kMostTextTokens));
  const int64_t kept = std::min<int64_t>(context, EvictionBudget(spec, shape, text, text));
  return pages + kvcache::PeakBytes(shape, layout, kept, 1) + record;
}

bool WantsCalibration(const KvSpec& spec) {
  return spec.bits > 0 || spec.changes.static_ranges.value_or(false) ||
         AnyCodec(spec, [](const auto& codec, bool) { return codec.feedback || codec.fitted; });
}

bool UsesCalibration(const KvSpec& spec) {
  if (NeedsCalibration(spec)) return false;
  return AnyCodec(spec, [&](const kvcache::HalfCodec& codec, bool keys) {
    const bool steered = keys && codec.feedback && spec.changes.before_rope.value_or(codec.keys.before_rope);
    return steered || (codec.fitted && spec.changes.fitted_levels.value_or(true));
  });
}

Result<std::unique_ptr<const CalibrationData>> CalibrationFor(const KvSpec& spec, const files::GgufFile& gguf,
                                                              const std::string& model, const kvcache::KvShape& shape) {
  const std::string path = CalibrationPath(model);
  std::error_code error;
  if (!WantsCalibration(spec) || !std::filesystem::exists(path, error)) return nullptr;
  KV_ASSIGN(CalibrationData data, ReadCalibration(path, ModelHash(gguf), shape));
  return std::make_unique<const CalibrationData>(std::move(data));
}

Result<CachePlan> PlanCache(const KvSpec& spec, const files::GgufFile& gguf, const model::ModelConfig& config,
                            const kvcache::KvShape& shape, const std::string& model, int context_tokens) {
  const int longest = std::max(context_tokens, config.trained_context);
  KV_ASSIGN(const auto calibration, CalibrationFor(spec, gguf, model, shape));
  CachePlan plan;
  KV_ASSIGN(plan.options, KvOptionsOf(spec, config, shape, longest, calibration.get()));
  KV_ASSIGN(plan.spec, WithBudgetInTokens(spec, shape, plan.options.layout(), longest));
  return plan;
}

}  // namespace kvasir
