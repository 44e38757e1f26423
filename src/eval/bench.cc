// Speed, beside the limits of the machine measured in the same run.
//
// A product with weights is bound by reading them (decode) or by its multiply-adds (prompts); attention by reading the
// cache or by f32 multiply-adds. The limit of a row is the time that the binding resources take at the rates measured
// just before with the same threads and footprint; the percentage is that time over the measured one. The footprint
// grows with the depth: small weights may fit a cache that they no longer fit beside the keys and values.

#include "kvasir/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/check.h"
#include "base/seconds_since.h"
#include "engine/engine_impl.h"
#include "eval/distribution.h"
#include "kvasir/engine.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kLimitSeconds = 1.5;
constexpr double kReadSeconds = 0.5;

// The work of one step of `rows` tokens behind `depth`.
struct StepCost {
  double weight_bytes = 0;
  double kv_bytes = 0;
  double int8_ops = 0;  // 2 per multiply-add
  double f32_flops = 0;
};

// Tokens that a query at `position` sees in a layer with `window`.
double Visible(double position, int window) {
  return window == 0 ? position + 1 : std::min<double>(position + 1, window);
}

StepCost CostOf(const Engine::Impl& engine, int rows, int depth) {
  const model::ModelConfig& config = engine.model->config();
  const double bytes_per_token =  // of one layer
      static_cast<double>(kvcache::BytesPerToken(engine.kv_shape, engine.kv_options.layout())) / config.layers;
  StepCost cost;
  cost.weight_bytes = static_cast<double>(engine.model->weight_bytes_per_token());
  const double macs =
      static_cast<double>(engine.model->body_macs()) * rows + static_cast<double>(engine.model->head_macs());
  (engine.options.compute == ComputeMode::kExact ? cost.f32_flops : cost.int8_ops) = 2 * macs;
  for (const int window : config.windows) {
    double seen = 0;
    for (int row = 0; row < rows; ++row) seen += Visible(depth + row, window);
    cost.f32_flops += 2 * 2 * seen * config.q_features();
    cost.kv_bytes += bytes_per_token * Visible(depth + rows - 1, window);
  }
  return cost;
}

// The least time for `cost`, and what binds it.
double LeastSeconds(const StepCost& cost, const MachineLimits& limits, std::string* bound) {
  const double memory = (cost.weight_bytes + cost.kv_bytes) / (limits.read_gb_per_second * 1e9);
  const double int8 = cost.int8_ops / (limits.int8_tops * 1e12);
  const double fma = cost.f32_flops / (limits.fma_gflops * 1e9);
  *bound = memory >= int8 + fma ? "memory" : int8 >= fma ? "int8" : "fma";
  return std::max(memory, int8 + fma);
}

// The seconds that a prompt or a number of decoding steps takes, starting at `depth` tokens.
class Stopwatch {
 public:
  explicit Stopwatch(Session& session, int vocabulary) : session_(session), vocabulary_(vocabulary) {}

  Status Fill(int depth) {
    session_.Reset();
    return Compute(depth, 0);
  }
  Result<double> Prompt(int tokens) {
    const Clock::time_point start = Clock::now();
    KV_TRY(Compute(tokens, 0));
    return base::SecondsSince(start);
  }
  Result<double> Decode(int tokens) {
    const Clock::time_point start = Clock::now();
    KV_TRY(Compute(tokens, 1));
    return base::SecondsSince(start);
  }

 private:
  // `tokens` arbitrary tokens, `chunk` at a time, logits of the last one of each chunk.
  Status Compute(int tokens, int chunk) {
    std::vector<int32_t> ids(static_cast<size_t>(tokens));
    for (int32_t& id : ids)
      id = static_cast<int32_t>((next_ = next_ * 1103515245u + 12345u) % static_cast<uint32_t>(vocabulary_));
    const int first_logits = chunk == 1 ? 0 : tokens - 1;
    return session_.Evaluate(ids, first_logits, chunk, [](int, std::span<const float>) {});
  }

  Session& session_;
  int vocabulary_;
  uint32_t next_ = 1;
};

Status CheckPlan(const BenchPlan& plan, int context) {
  int longest = 0;
  for (const auto* list : {&plan.prompts, &plan.generates, &plan.depths}) {
    for (const int value : *list) {
      if (value < 0) return Fail(ErrorCode::kInvalidArgument, fmt::format("{} tokens cannot be measured", value));
    }
  }
  for (const int depth : plan.depths) {
    for (const int prompt : plan.prompts) longest = std::max(longest, depth + prompt);
    for (const int generate : plan.generates) longest = std::max(longest, depth + generate);
  }
  if (plan.repetitions < 1) return Fail(ErrorCode::kInvalidArgument, "at least one repetition is needed");
  if (longest > context) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the longest row needs {} tokens, but the context holds {}", longest, context));
  }
  return {};
}

BenchRow Summarise(BenchRow row, std::span<const double> seconds, const StepCost& total, const MachineLimits& limits,
                   double least) {
  const double median = eval::Median(seconds);
  const auto [fastest, slowest] = std::ranges::minmax(seconds);
  const double tokens = row.prompt + row.generate;
  row.read_gb_per_second = limits.read_gb_per_second;
  row.tokens_per_second = tokens / median;
  row.min_tokens_per_second = tokens / slowest;
  row.max_tokens_per_second = tokens / fastest;
  LeastSeconds(total, limits, &row.bound);
  row.percent_of_limit = 100 * least / median;
  return row;
}

}  // namespace

Result<BenchReport> RunBench(const EngineOptions& options, const BenchPlan& plan,
                             const std::function<void(const BenchRow&)>& on_row) {
  KV_ASSIGN(const std::unique_ptr<Engine> engine, Engine::Load(options));
  Engine::Impl& impl = engine->impl();
  KV_TRY(CheckPlan(plan, engine->options().context_tokens));
  BenchReport report{.model = engine->info().name,
                     .isa = std::string(engine->isa()),
                     .compute = std::string(ComputeModeName(engine->options().compute))};
  report.limits = MeasureLimits(engine->options().threads, engine->info().weight_bytes_per_token, kLimitSeconds);
  KV_ASSIGN(const std::unique_ptr<Session> session, engine->NewSession());
  Stopwatch stopwatch(*session, engine->info().vocabulary);
  KV_TRY(stopwatch.Fill(32));  // touch the weights once

  MachineLimits limits = report.limits;
  const auto finish = [&](BenchRow row, const std::vector<double>& seconds, const StepCost& cost, double least) {
    report.rows.push_back(Summarise(std::move(row), seconds, cost, limits, least));
    if (on_row) on_row(report.rows.back());
  };
  std::string bound;
  for (const int depth : plan.depths) {
    if (depth > 0) {
      const StepCost step = CostOf(impl, 1, depth);
      const auto bytes = static_cast<size_t>(step.weight_bytes + step.kv_bytes);
      limits.read_gb_per_second = MeasureReadRate(engine->options().threads, bytes, kReadSeconds);
    }
    for (const int prompt : plan.prompts) {
      if (prompt == 0) continue;
      std::vector<double> seconds;
      for (int i = 0; i < plan.repetitions; ++i) {
        KV_TRY(stopwatch.Fill(depth));
        KV_ASSIGN(const double elapsed, stopwatch.Prompt(prompt));
        seconds.push_back(elapsed);
      }
      double least = 0;
      for (int done = 0; done < prompt; done += kMaxBatchRows) {
        least += LeastSeconds(CostOf(impl, std::min(kMaxBatchRows, prompt - done), depth + done), limits, &bound);
      }
      finish({.prompt = prompt, .depth = depth}, seconds, CostOf(impl, prompt, depth), least);
    }
    for (const int generate : plan.generates) {
      if (generate == 0) continue;
      std::vector<double> seconds;
      for (int i = 0; i < plan.repetitions; ++i) {
        KV_TRY(stopwatch.Fill(depth));
        KV_ASSIGN(const double elapsed, stopwatch.Decode(generate));
        seconds.push_back(elapsed);
      }
      double least = 0;
      for (int t = 0; t < generate; ++t) least += LeastSeconds(CostOf(impl, 1, depth + t), limits, &bound);
      finish({.generate = generate, .depth = depth}, seconds, CostOf(impl, 1, depth), least);
    }
  }
  report.peak_resident_bytes = engine->memory().peak_resident_bytes;
  return report;
}

}  // namespace kvasir
