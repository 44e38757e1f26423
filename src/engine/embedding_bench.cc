// Embed/T: batches of 64 texts of T tokens each, on the model named by KVASIR_BENCH_MODEL where that is an encoder
// (default minilm). Texts and tokens per second, and the share of the machine's f32 multiply-adds, measured just before
// with the same threads, that the products with weights take; attention's own products are not counted.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "kvasir/embedding.h"
#include "kvasir/inspect.h"

namespace kvasir {
namespace {

constexpr size_t kTexts = 64;
constexpr double kMeasureSeconds = 1.0;
constexpr size_t kMeasureBytes = size_t{64} << 20;

Embedder* BenchEmbedder(benchmark::State& state) {
  static const auto embedder = [] {
    const char* model = std::getenv("KVASIR_BENCH_MODEL");
    return Embedder::Load({.model = model != nullptr && IsEncoder(model) ? model : "minilm"});
  }();
  if (embedder) return embedder->get();
  state.SkipWithError(embedder.error().message.c_str());
  return nullptr;
}

void Embed(benchmark::State& state) {
  Embedder* embedder = BenchEmbedder(state);
  if (embedder == nullptr) return;
  std::vector<std::vector<int32_t>> texts(kTexts);
  int32_t next = 1;
  for (std::vector<int32_t>& text : texts) {
    for (int64_t i = 0; i < state.range(0); ++i) {
      text.push_back((next = (next * 1103 + 12345) % 20'000) + 1000);
    }
  }
  const double limit = MeasureLimits(InspectCpu().cpus, kMeasureBytes, kMeasureSeconds).fma_gflops * 1e9;
  for (auto _ : state) {
    if (!embedder->Embed(texts)) return state.SkipWithError("a text was refused");
  }
  using benchmark::Counter;
  const double texts_done = static_cast<double>(state.iterations()) * kTexts;
  const double tokens = texts_done * static_cast<double>(state.range(0));
  const double flops = tokens * 2 * static_cast<double>(embedder->info().macs_per_token);
  state.counters["texts/s"] = Counter(texts_done, Counter::kIsRate);
  state.counters["tokens/s"] = Counter(tokens, Counter::kIsRate);
  state.counters["of_fma_peak"] = Counter(flops / limit, Counter::kIsRate);
}
BENCHMARK(Embed)->Arg(8)->Arg(16)->Arg(32)->Arg(128)->Arg(256)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace kvasir
