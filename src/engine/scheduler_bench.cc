// On the model named by KVASIR_BENCH_MODEL (default smollm2):
//
// Parallel/N: does batching pay? N requests at once, each with a prompt of 8 tokens of its own, too short to count, and
// 96 generated ones; tokens/s counts the generated tokens of all. Sampled/N: the same at temperature 1, which looks at
// the whole vocabulary for each token.
//
// BesideAPrompt/T: does a stream keep its pace? One request generates while a prompt of 6,000 tokens is computed, with
// a target of T milliseconds between two tokens (0: none); the gaps between its tokens from the one's start to the
// other's, and how long that prompt took.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <thread>
#include <vector>

#include "kvasir/scheduler.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPromptTokens = 8;
constexpr int kGeneratedTokens = 96;
constexpr int kLongPromptTokens = 6000;

Engine* BenchEngine(benchmark::State& state) {
  static const auto engine = [] {
    const char* model = std::getenv("KVASIR_BENCH_MODEL");
    return Engine::Load(
        {.model = model != nullptr ? model : "smollm2", .context_tokens = 8192, .kv_budget_bytes = size_t{512} << 20});
  }();
  if (engine) return engine->get();
  state.SkipWithError(engine.error().message.c_str());
  return nullptr;
}

// A request that runs to its end, and when its tokens came.
struct Stream {
  // Submits `prompt_tokens` arbitrary tokens, no two requests the same.
  void Start(Scheduler& scheduler, int prompt_tokens, int max_tokens, benchmark::State& state, float temperature = 0) {
    static int32_t next = 1;
    Submission submission{
        .request = {.max_tokens = max_tokens, .ignore_end_of_text = true},
        .on_done = [this](const Result<Completion>&) { done.set_value(); },
    };
    for (int i = 0; i < prompt_tokens; ++i) {
      submission.request.prompt.push_back((next = (next * 1103 + 12345) % 40000) + 100);
    }
    submission.request.sampling.temperature = temperature;
    submission.request.on_token = [this](const TokenEvent&) {
      times.push_back(Clock::now());
      return true;
    };
    if (!scheduler.Submit(std::move(submission))) state.SkipWithError("not accepted");
  }
  // Milliseconds between neighbouring tokens of which the later came in [from, to], ascending.
  [[nodiscard]] std::vector<double> Gaps(Clock::time_point from, Clock::time_point to) const {
    std::vector<double> gaps;
    for (size_t i = 1; i < times.size(); ++i) {
      if (times[i] < from || times[i] > to) continue;
      gaps.push_back(std::chrono::duration<double, std::milli>(times[i] - times[i - 1]).count());
    }
    std::ranges::sort(gaps);
    return gaps;
  }

  std::promise<void> done;
  std::vector<Clock::time_point> times;  // written by the scheduler's thread until done
};

void Run(benchmark::State& state, float temperature) {
  Engine* engine = BenchEngine(state);
  if (engine == nullptr) return;
  int64_t tokens = 0;
  for (auto _ : state) {
    const auto scheduler = Scheduler::Create(*engine, {.prefix_cache = false});
    std::vector<Stream> streams(static_cast<size_t>(state.range(0)));
    for (Stream& stream : streams) stream.Start(**scheduler, kPromptTokens, kGeneratedTokens, state, temperature);
    for (Stream& stream : streams) stream.done.get_future().wait();
    tokens += state.range(0) * kGeneratedTokens;
  }
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
}
void Parallel(benchmark::State& state) {
  Run(state, 0);
}
void Sampled(benchmark::State& state) {
  Run(state, 1);
}
void Counts(benchmark::internal::Benchmark* benchmark) {
  benchmark->RangeMultiplier(2)->Range(1, 32)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(2);
}
BENCHMARK(Parallel)->Apply(Counts);
BENCHMARK(Sampled)->Apply(Counts);

void BesideAPrompt(benchmark::State& state) {
  Engine* engine = BenchEngine(state);
  if (engine == nullptr) return;
  std::vector<double> gaps;
  double prompt_seconds = 0;
  for (auto _ : state) {
    const auto scheduler =
        Scheduler::Create(*engine, {.itl_target_ms = static_cast<double>(state.range(0)), .prefix_cache = false});
    Stream stream;
    Stream prompt;
    stream.Start(**scheduler, kPromptTokens, 4096, state);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const Clock::time_point from = Clock::now();
    prompt.Start(**scheduler, kLongPromptTokens, 1, state);
    prompt.done.get_future().wait();
    const Clock::time_point to = Clock::now();
    (*scheduler)->Stop();
    gaps = stream.Gaps(from, to);
    prompt_seconds = std::chrono::duration<double>(to - from).count();
  }
  if (gaps.empty()) return state.SkipWithError("the stream gave no token meanwhile");
  state.counters["gap_p50_ms"] = gaps[gaps.size() / 2];
  state.counters["gap_p99_ms"] = gaps[gaps.size() * 99 / 100];
  state.counters["gap_max_ms"] = gaps.back();
  state.counters["prompt_s"] = prompt_seconds;
}
BENCHMARK(BesideAPrompt)->Arg(50)->Arg(100)->Arg(0)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(1);

}  // namespace
}  // namespace kvasir
