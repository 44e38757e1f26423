// Calibration: one pass over text, in exact mode, that measures what the errors of a cache will cost.
//
// What is measured, and why, is told in kvcache/calibration.h. Here the model runs, and a probe looks at each layer's
// attention: of every kRowStride-th query it computes the weights it gives to the pages of its past, and adds the
// query, turned back by the page, to the second moment of its KV head, weighted by what an error there would do to the
// output.
#include "kvasir/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/seconds_since.h"
#include "engine/calibration_file.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"
#include "engine/step.h"
#include "eval/chunks.h"
#include "eval/distribution.h"
#include "kvcache/calibration.h"
#include "kvcache/encode_outliers.h"
#include "kvcache/half_codec.h"
#include "kvcache/half_groups.h"
#include "kvcache/key_rotation.h"
#include "kvcache/kv_sequence.h"
#include "kvcache/page_reader.h"
#include "ops/attention_probe.h"
#include "ops/operators.h"

namespace kvasir {
namespace {

using kernels::kPageTokens;

constexpr int kRowStride = 16;          // queries that are looked at
constexpr size_t kPageStride = 4;       // pages whose elements serve to fit levels
constexpr size_t kSampleStride = 5;     // and numbers of each of their groups
constexpr size_t kMostSamples = 40000;  // of a layer's keys, and of its values
constexpr int kLossRecent = 64;         // tokens that stay open where losses are measured: most shall be encoded

// A number for fitting levels, while the weight of its feature is not known yet.
struct Sample {
  float position = 0;  // in its group's range, which is [-1, 1]
  float half_range = 0;
  int feature = 0;
};

// What is seen of one KV head; each is the work of one thread.
struct HeadRecord {
  HeadRecord(int head_dim, int64_t tokens)
      : queries(head_dim),
        late_queries(static_cast<size_t>(head_dim), 0),
        ranges(head_dim),
        tails(head_dim, tokens, kOutsideRange),
        late_tails(head_dim, tokens, kOutsideRange) {}

  kvcache::SecondMoment queries;     // turned back to before RoPE, as are ranges, tails and keys
  std::vector<double> late_queries;  // its diagonal alone, after RoPE
  kvcache::RangeMoment ranges;
  kvcache::FeatureTails tails, late_tails;
  std::vector<Sample> keys, late_keys, values;
};

struct LayerRecord {
  std::vector<HeadRecord> heads;
};

class Collector final : public ops::AttentionProbe {
 public:
  Collector(base::ThreadPool& pool, const kvcache::KvShape& shape, const model::ModelConfig& config, int context,
            int64_t tokens)
      : pool_(pool), shape_(shape), rope_of_layer_(config.rope_of_layer) {
    const kvcache::HalfCodec& codec = *kvcache::FindHalfCodec("nuq4").value();
    const auto exact = [&](double share) {
      return static_cast<uint8_t>(std::min<int64_t>(255, kvcache::OutlierCount(share, shape.head_dim)));
    };
    key_half_ = codec.keys;
    key_half_.outliers = exact(codec.key_outliers);
    value_half_ = codec.values;
    value_half_.outliers = exact(codec.value_outliers);
    for (const ops::RopeSpec& rope : config.ropes) {
      rotations_.push_back(std::make_unique<kvcache::KeyRotation>(
          kvcache::KeyRope{rope.frequencies, rope.magnitude, rope.neox}, context));
    }
    for (int layer = 0; layer < shape.layers; ++layer) {
      LayerRecord& record = layers_.emplace_back();
      for (int head = 0; head < shape.kv_heads; ++head) record.heads.emplace_back(shape.head_dim, tokens);
    }
  }

  void OnAttention(const ops::Batch& batch, const ops::AttentionSpec& spec, const float* q, const float* out) override {
    pool_.ForDynamic(spec.kv_heads, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t head = begin; head < end; ++head) Look(batch, spec, static_cast<int>(head), q, out);
    });
  }

  [[nodiscard]] CalibrationData Finish() const;

 private:
  // The floats of a head's pages, in order.
  struct Held {
    int32_t first_position = 0;
    std::vector<float> keys, values;  // [n][D]
  };
  [[nodiscard]] Held Read(const kvcache::KvView& view, int layer, int kv_head) const;
  void Look(const ops::Batch& batch, const ops::AttentionSpec& spec, int kv_head, const float* q, const float* out);
  void AddQuery(const ops::AttentionSpec& spec, const Held& held, int kv_head, int32_t position, const float* query,
                const float* output);
  void AddPage(int layer, int kv_head, int32_t first_position, const float* keys, const float* values);
  void Sampled(std::vector<Sample>& samples, const kernels::CompactHalf& half, const float* x) const;

  base::ThreadPool& pool_;
  kvcache::KvShape shape_;
  std::vector<int> rope_of_layer_;
  kernels::CompactHalf key_half_, value_half_;  // of the codecs whose levels are fitted
  std::vector<std::unique_ptr<kvcache::KeyRotation>> rotations_;
  std::vector<LayerRecord> layers_;
};

Collector::Held Collector::Read(const kvcache::KvView& view, int layer, int kv_head) const {
  Held held;
  const auto pages = view.pages(layer, kv_head).refs;
  const kvcache::PageReader reader = {.open = view.format, .head_dim = view.head_dim};  // exact mode: none is compact
  held.first_position = pages.front().first_position;
  for (const kernels::PageRef& page : pages) reader.Append(layer, kv_head, page, &held.keys, &held.values);
  return held;
}

void Collector::Look(const ops::Batch& batch, const ops::AttentionSpec& spec, int kv_head, const float* q,
                     const float* out) {
  const ops::SequenceRows& sequence = batch.sequences.front();
  const Held held = Read(*sequence.kv, spec.layer, kv_head);
  const auto d = static_cast<size_t>(shape_.head_dim);
  const int group = spec.heads / spec.kv_heads;
  for (int row = 0; row < sequence.num_rows; ++row) {
    const int32_t position = batch.positions[static_cast<size_t>(sequence.first_row + row)];
    if (position % kRowStride == kRowStride - 1) {
      for (int g = 0; g < group; ++g) {
        const size_t at = (static_cast<size_t>(sequence.first_row + row) * static_cast<size_t>(spec.heads) +
                           static_cast<size_t>(kv_head * group + g)) *
                          d;
        AddQuery(spec, held, kv_head, position, q + at, out + at);
      }
    }
    if (position % kPageTokens == kPageTokens - 1) {  // a page is full
      const auto at = static_cast<size_t>(position - (kPageTokens - 1) - held.first_position) * d;
      AddPage(spec.layer, kv_head, position - (kPageTokens - 1), held.keys.data() + at, held.values.data() + at);
    }
  }
}

void Collector::AddQuery(const ops::AttentionSpec& spec, const Held& held, int kv_head, int32_t position,
                         const float* query, const float* output) {
  const auto d = static_cast<size_t>(shape_.head_dim);
  const auto first = std::max(held.first_position, static_cast<int32_t>(kvcache::FirstVisible(position, spec.window)));
  const auto seen = static_cast<size_t>(position + 1 - first);
  const auto skip = static_cast<size_t>(first - held.first_position);
  std::vector<float> p(seen);
  for (size_t i = 0; i < seen; ++i) {
    const float* key = held.keys.data() + (skip + i) * d;
    float score = 0;
    for (size_t f = 0; f < d; ++f) score += query[f] * key[f];
    score *= spec.scale;
    p[i] = spec.softcap == 0 ? score : spec.softcap * std::tanh(score / spec.softcap);
  }
  const float largest = *std::ranges::max_element(p);
  float sum = 0;
  for (float& each : p) sum += each = std::exp(each - largest);
  for (float& each : p) each /= sum;

  HeadRecord& record = layers_[static_cast<size_t>(spec.layer)].heads[static_cast<size_t>(kv_head)];
  const kvcache::KeyRotation& rotation =
      *rotations_[static_cast<size_t>(rope_of_layer_[static_cast<size_t>(spec.layer)])];
  std::vector<float> turned(d);
  const std::span<const float> o(output, d);
  for (int32_t page = (first + kPageTokens - 1) / kPageTokens; (page + 1) * kPageTokens <= position; ++page) {
    const auto at = static_cast<size_t>(page * kPageTokens - first);
    const double weight = kvcache::KeyErrorWeight(std::span(p).subspan(at, kPageTokens),
                                                  std::span(held.values).subspan((skip + at) * d, kPageTokens * d), o);
    rotation.TurnBackQuery(page * kPageTokens, std::span(query, d), turned);
    record.queries.Add(turned, weight);
    for (size_t f = 0; f < d; ++f) record.late_queries[f] += weight * double{query[f]} * double{query[f]};
  }
}

void Collector::AddPage(int layer, int kv_head, int32_t first_position, const float* keys, const float* values) {
  const auto d = static_cast<size_t>(shape_.head_dim);
  HeadRecord& record = layers_[static_cast<size_t>(layer)].heads[static_cast<size_t>(kv_head)];
  std::vector<float> turned(kPageTokens * d);
  const std::span<const float> late(keys, turned.size());
  rotations_[static_cast<size_t>(rope_of_layer_[static_cast<size_t>(layer)])]->TurnBack(first_position, shape_.head_dim,
                                                                                        late, turned);
  record.ranges.Add(turned);
  if (first_position > 0) {  // the first page, with what attention rests on, stays open
    record.tails.Add(turned);
    record.late_tails.Add(late);
  }
  if (static_cast<size_t>(first_position / kPageTokens) % kPageStride != 1) return;
  Sampled(record.keys, key_half_, turned.data());
  Sampled(record.late_keys, key_half_, keys);
  Sampled(record.values, value_half_, values);
}

// Of the half x [64][D] of a page: numbers of every group, where they lie in its range. Those that nuq codecs store
// exactly are no part of either.
void Collector::Sampled(std::vector<Sample>& samples, const kernels::CompactHalf& half, const float* x) const {
  const auto d = static_cast<size_t>(shape_.head_dim);
  std::vector<float> rows(kPageTokens * d);  // features by tokens
  for (size_t i = 0; i < rows.size(); ++i) rows[i % d * kPageTokens + i / d] = x[i];
  const auto exact = kvcache::ChooseOutliers(half, shape_.head_dim, rows, std::vector<float>(d, 1));
  for (size_t index = 0; index < kernels::ScalesOf(half, shape_.head_dim); ++index) {
    const kvcache::HalfGroup group = kvcache::GroupAt(half, shape_.head_dim, index);
    const auto at = [&](size_t i) { return group.first + i * group.stride; };
    const auto size = static_cast<size_t>(group.size);
    float low = HUGE_VALF, high = -HUGE_VALF;
    for (size_t i = 0; i < size; ++i) {
      if (exact[at(i)] != 0) continue;
      low = std::min(low, rows[at(i)]);
      high = std::max(high, rows[at(i)]);
    }
    const float half_range = (high - low) / 2;
    for (size_t i = index % kSampleStride; i < size && half_range > 0; i += kSampleStride) {
      if (exact[at(i)] != 0 || samples.size() >= kMostSamples / static_cast<size_t>(shape_.kv_heads)) continue;
      samples.push_back(
          {(rows[at(i)] - (low + half_range)) / half_range, half_range, static_cast<int>(at(i) / kPageTokens)});
    }
  }
}

FittedLevels FitAll(std::span<const kvcache::LevelSample> samples) {
  FittedLevels levels;
  for (int bits = kFewestFittedBits; bits <= kMostFittedBits; ++bits) {
    levels[static_cast<size_t>(bits - kFewestFittedBits)] = kvcache::FitLevels(bits, samples);
  }
  return levels;
}

// The levels of the samples that `samples_of` finds in each head, where an error of a feature costs `cost_of`.
template <typename SamplesOf, typename CostOf>
std::pair<FittedLevels, FittedLevels> Fit(const LayerRecord& record, SamplesOf samples_of, CostOf cost_of) {
  std::vector<kvcache::LevelSample> measured, even;
  for (const HeadRecord& head : record.heads) {
    for (const Sample& each : samples_of(head)) {
      const double cost = cost_of(head, static_cast<size_t>(each.feature));
      measured.push_back({each.position, static_cast<float>(cost * each.half_range * each.half_range)});
      even.push_back({each.position, 1});
    }
  }
  return {FitAll(measured), FitAll(even)};
}

CalibrationData Collector::Finish() const {
  CalibrationData data;
  const auto layers = layers_.size();
  for (LevelSets* sets : {&data.key_levels, &data.late_key_levels, &data.value_levels}) {
    sets->measured.resize(layers);
    sets->even.resize(layers);
  }
  pool_.ForDynamic(static_cast<int64_t>(layers), 1, [&](int64_t begin, int64_t end, int) {
    for (auto layer = static_cast<size_t>(begin); layer < static_cast<size_t>(end); ++layer) {
      const auto fit = [&](LevelSets& sets, auto samples_of, auto cost_of) {
        std::tie(sets.measured[layer], sets.even[layer]) = Fit(layers_[layer], samples_of, cost_of);
      };
      fit(data.key_levels, std::mem_fn(&HeadRecord::keys), [](const HeadRecord& head, size_t f) {
        return head.queries.matrix()[f * static_cast<size_t>(head.queries.dim()) + f];
      });
      fit(data.late_key_levels, std::mem_fn(&HeadRecord::late_keys),
          [](const HeadRecord& head, size_t f) { return head.late_queries[f]; });
      fit(data.value_levels, std::mem_fn(&HeadRecord::values), [](const HeadRecord&, size_t) { return 1.0; });
    }
  });
  for (const LayerRecord& record : layers_) {
    for (const HeadRecord& head : record.heads) {
      data.keys.push_back(kvcache::MakeCalibration(head.queries.matrix(), head.ranges.Mean()));
      data.key_ranges.push_back(head.tails.Ranges());
      data.late_key_ranges.push_back(head.late_tails.Ranges());
    }
  }
  const auto unknown = [](const kvcache::FeatureRanges& ranges) { return ranges.low.empty(); };
  if (std::ranges::any_of(data.key_ranges, unknown) || std::ranges::any_of(data.late_key_ranges, unknown)) {
    data.key_ranges.clear();  // contexts of one page
    data.late_key_ranges.clear();
  }
  return data;
}

// Computes tokens from an empty cache, and gives the logits of those from `first` on.
Status RunTokens(Engine::Impl& engine, const kvcache::KvOptions& options, std::span<const int32_t> tokens, int first,
                 const std::function<void(int, std::span<const float>)>& on_logits, ops::AttentionProbe* probe) {
  KV_ASSIGN(kvcache::KvSequence sequence, kvcache::KvSequence::Create(*engine.pages, engine.kv_shape, options));
  const auto total = static_cast<int>(tokens.size());
  for (int begin = 0; begin < total;) {
    const int count = std::min({kMaxBatchRows, total - begin, sequence.RoomInStep()});
    KV_TRY(sequence.Extend(tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(count))));
    const StepRows rows{.sequence = &sequence,
                        .first_logits = std::clamp(first - begin, 0, count),
                        .on_logits = [&](int i, std::span<const float> logits) { on_logits(begin + i, logits); }};
    KV_TRY(RunStep(engine, {&rows, 1}, nullptr, StepOutput::kLogits, probe));
    begin += count;
  }
  return {};
}

// What storing one layer's keys (or values) in 2 bits costs, all else in 8.
Result<float> LossOf(Engine::Impl& engine, const CalibrationData& data, bool keys, int layer,
                     std::span<const int32_t> tokens, std::span<const float> truth) {
  KvSpec spec{.open = "f32", .keys = "q8", .values = "q8", .recent = kLossRecent};
  spec.layers.push_back({.keys = keys, .first = layer, .last = layer, .codec = "ch2"});
  KV_ASSIGN(const kvcache::KvOptions options,
            KvOptionsOf(spec, engine.model->config(), engine.kv_shape, static_cast<int>(tokens.size()), &data));
  const auto vocabulary = static_cast<size_t>(engine.info.vocabulary);
  const auto first = static_cast<int>(tokens.size() / 2);
  double sum = 0;
  KV_TRY(RunTokens(
      engine, options, tokens, first,
      [&](int i, std::span<const float> logits) {
        sum += eval::Divergence(truth.subspan(static_cast<size_t>(i - first) * vocabulary, vocabulary), logits);
      },
      nullptr));
  return static_cast<float>(sum / static_cast<double>(tokens.size() - static_cast<size_t>(first)));
}

// Fills in the losses of all layers.
Status MeasureLosses(Engine::Impl& engine, std::span<const int32_t> tokens, const std::function<void()>& on_layer,
                     CalibrationData* data) {
  const auto first = static_cast<int>(tokens.size() / 2);
  std::vector<float> truth;  // [n/2][V]
  KV_TRY(RunTokens(
      engine, engine.kv_options, tokens, first,
      [&](int, std::span<const float> logits) { truth.insert(truth.end(), logits.begin(), logits.end()); }, nullptr));
  std::vector<float> key_losses, value_losses;
  for (int layer = 0; layer < engine.kv_shape.layers; ++layer) {
    KV_ASSIGN(const float key_loss, LossOf(engine, *data, true, layer, tokens, truth));
    KV_ASSIGN(const float value_loss, LossOf(engine, *data, false, layer, tokens, truth));
    key_losses.push_back(key_loss);
    value_losses.push_back(value_loss);
    on_layer();
  }
  data->key_losses = std::move(key_losses);
  data->value_losses = std::move(value_losses);
  return {};
}

}  // namespace

Result<CalibrateReport> Calibrate(const CalibrateOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  EngineOptions exact = options.engine;
  exact.compute = ComputeMode::kExact;
  exact.kv = {};
  exact.kv_budget_bytes = 0;
  exact.context_tokens = options.context;
  KV_ASSIGN(const std::unique_ptr<Engine> engine, Engine::Load(exact));
  Engine::Impl& impl = engine->impl();
  KV_ASSIGN(const auto chunks,
            eval::CutText(*engine, {.text = options.text, .context = options.context, .max_chunks = options.chunks}));
  Collector collector(impl.pool, impl.kv_shape, impl.model->config(), options.context,
                      static_cast<int64_t>(chunks.size()) * options.context);
  int done = 0;
  const auto step_done = [&] {
    const int layers = options.layers ? impl.kv_shape.layers : 0;
    if (options.on_progress) options.on_progress(++done, static_cast<int>(chunks.size()) + layers);
  };
  for (const std::vector<int32_t>& chunk : chunks) {
    KV_TRY(RunTokens(impl, impl.kv_options, chunk, options.context, {}, &collector));
    step_done();
  }
  CalibrationData data = collector.Finish();
  if (options.layers) {
    const auto half = std::span(chunks.front()).first(chunks.front().size() / 2);
    KV_TRY(MeasureLosses(impl, half, step_done, &data));
  }
  data.tokens = static_cast<int64_t>(chunks.size()) * options.context;
  CalibrateReport report{.path = options.output.empty() ? CalibrationPath(impl.options.model) : options.output,
                         .tokens = data.tokens};
  KV_TRY(WriteCalibration(report.path, ModelHash(impl.gguf), impl.kv_shape, data));
  std::error_code error;
  report.bytes = std::filesystem::file_size(report.path, error);
  report.seconds = base::SecondsSince(start);
  return report;
}

}  // namespace kvasir
