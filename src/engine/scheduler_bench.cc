// Does batching pay? Aggregate speed of 1, 2, 4 and 8 requests at once, each with a prompt of 64 tokens of its own and
// 64 generated ones, on the model named by KVASIR_BENCH_MODEL (default smollm2). Counters: generated tokens per second
// in all, and the worst time between two tokens of a stream.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <vector>

#include "kvasir/scheduler.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPromptTokens = 64;
constexpr int kGeneratedTokens = 64;

Engine* BenchEngine(benchmark::State& state) {
  static const auto engine = [] {
    const char* model = std::getenv("KVASIR_BENCH_MODEL");
    return Engine::Load(
        {.model = model != nullptr ? model : "smollm2", .context_tokens = 2048, .kv_budget_bytes = size_t{512} << 20});
  }();
  if (engine) return engine->get();
  state.SkipWithError(engine.error().message.c_str());
  return nullptr;
}

struct Stream {
  std::promise<void> done;
  Clock::time_point last;
  double worst_gap = 0;
};

void Parallel(benchmark::State& state) {
  Engine* engine = BenchEngine(state);
  if (engine == nullptr) return;
  const auto requests = static_cast<size_t>(state.range(0));
  int32_t next = 1;
  int64_t tokens = 0;
  double worst_gap = 0;
  for (auto _ : state) {
    const auto scheduler = Scheduler::Create(*engine, {.prefix_cache = false});
    std::vector<Stream> streams(requests);
    for (Stream& stream : streams) {
      Submission submission;
      for (int i = 0; i < kPromptTokens; ++i) {
        submission.request.prompt.push_back((next = (next * 1103 + 12345) % 40000) + 100);
      }
      submission.request.max_tokens = kGeneratedTokens;
      submission.request.ignore_end_of_text = true;
      submission.request.sampling.temperature = 0;
      submission.request.on_token = [&stream](const TokenEvent&) {
        const Clock::time_point now = Clock::now();
        const double gap = std::chrono::duration<double>(now - stream.last).count();
        if (stream.last != Clock::time_point{}) stream.worst_gap = std::max(stream.worst_gap, gap);
        stream.last = now;
        return true;
      };
      submission.on_done = [&stream](const Result<Completion>&) { stream.done.set_value(); };
      if (!(*scheduler)->Submit(std::move(submission))) state.SkipWithError("not accepted");
    }
    for (Stream& stream : streams) {
      stream.done.get_future().wait();
      worst_gap = std::max(worst_gap, stream.worst_gap);
    }
    tokens += static_cast<int64_t>(requests) * kGeneratedTokens;
  }
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
  state.counters["worst_gap_ms"] = worst_gap * 1e3;
}
BENCHMARK(Parallel)->Arg(1)->Arg(2)->Arg(4)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(2);

}  // namespace
}  // namespace kvasir
