// What one choice costs, for the vocabularies of SmolLM2 (49152) and Gemma 3 (262144):
//   kvasir_sampling_bench --benchmark_counters_tabular=true
// The logits are like a model's: a bell of noise with a few tokens far above it.
#include <benchmark/benchmark.h>

#include <cmath>
#include <numbers>

#include "base/rng.h"
#include "sampling/logprobs.h"
#include "sampling/sampler.h"

namespace kvasir::sampling {
namespace {

std::vector<float> ModelLikeRow(size_t vocab_size) {
  std::vector<float> logits(vocab_size);
  for (size_t i = 0; i < vocab_size; ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - base::RandomUniform(1, i, 0)));
    logits[i] = static_cast<float>(3 * radius * std::cos(2 * std::numbers::pi * base::RandomUniform(1, i, 1)));
  }
  for (uint64_t i = 0; i < 20; ++i) {
    logits[base::RandomBits(2, i) % vocab_size] = static_cast<float>(14 + 8 * base::RandomUniform(3, i));
  }
  return logits;
}

SamplingOptions Only(void (*set)(SamplingOptions&)) {
  SamplingOptions options;
  options.temperature = 1;
  options.top_k = 0;
  options.top_p = 1;
  options.min_p = 0;
  options.seed = 1;
  set(options);
  return options;
}

void Run(benchmark::State& state, const SamplingOptions& options, int history = 0) {
  const auto vocab_size = static_cast<size_t>(state.range(0));
  const auto logits = ModelLikeRow(vocab_size);
  auto sampler =
      Sampler::Create(options, static_cast<int32_t>(vocab_size), [](int32_t id) { return std::to_string(id); });
  for (int i = 0; i < history; ++i)
    sampler->Accept(static_cast<int32_t>(base::RandomBits(4, static_cast<uint64_t>(i)) % 1000));
  for (auto _ : state) {
    benchmark::DoNotOptimize(sampler->Sample(logits));
  }
}

void Vocabularies(benchmark::internal::Benchmark* bench) {
  bench->Arg(49152)->Arg(262144)->Unit(benchmark::kMicrosecond);
}

#define KV_BENCH_CHAIN(name, statement)                                       \
  void name(benchmark::State& state) {                                        \
    Run(state, Only([]([[maybe_unused]] SamplingOptions& o) { statement; })); \
  }                                                                           \
  BENCHMARK(name)->Apply(Vocabularies)

void Default(benchmark::State& state) {
  Run(state, SamplingOptions());
}
BENCHMARK(Default)->Apply(Vocabularies);
KV_BENCH_CHAIN(GreedyArgmax, o.temperature = 0);
KV_BENCH_CHAIN(PlainDraw, );
KV_BENCH_CHAIN(TemperatureAlone, o.temperature = 0.8F);
KV_BENCH_CHAIN(TopKAlone, o.top_k = 40);
KV_BENCH_CHAIN(TopPAlone, o.top_p = 0.95F);
KV_BENCH_CHAIN(MinPAlone, o.min_p = 0.05F);
KV_BENCH_CHAIN(TypicalPAlone, o.typical_p = 0.95F);
KV_BENCH_CHAIN(TopNSigmaAlone, o.top_n_sigma = 1);
KV_BENCH_CHAIN(XtcAlone, (o.xtc_probability = 1, o.xtc_threshold = 0.1F));
KV_BENCH_CHAIN(Mirostat2, o.mirostat = 2);

void DefaultWithDryOver32k(benchmark::State& state) {
  SamplingOptions options;
  options.dry_multiplier = 0.8F;
  options.repeat_penalty = 1.1F;
  Run(state, options, 32768);
}
BENCHMARK(DefaultWithDryOver32k)->Apply(Vocabularies);

void Logprobs20(benchmark::State& state) {
  const auto logits = ModelLikeRow(static_cast<size_t>(state.range(0)));
  const int32_t best = ArgMax(logits, {});
  for (auto _ : state) {
    benchmark::DoNotOptimize(ComputeLogprobs(logits, best, 20));
  }
}
BENCHMARK(Logprobs20)->Apply(Vocabularies);

}  // namespace
}  // namespace kvasir::sampling
