// kvasir bench: speed, beside the limits of the machine.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/figures.h"
#include "cli/flags.h"
#include "cli/inspect_report.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/receipt_use.h"
#include "kvasir/bench.h"

namespace kvasir::cli {
namespace {

constexpr const char* kBenchExamples =
    "Examples:\n"
    "  kvasir bench -m smollm2\n"
    "  kvasir bench -m smollm2 -p 512 -n 128 -d 0,2048,8000 -r 5\n"
    "  kvasir bench -m smollm2 -p 0 -n 64 -t 1 --json\n"
    "\n"
    "A row computes a prompt of -p tokens at once, or generates -n tokens one by one, behind -d tokens that are in\n"
    "the cache already; 0 leaves it out. The speed is the median of the repetitions. The limit is what this machine\n"
    "could do at most, measured in the same run: reading memory, or multiplying, whichever takes longer.";

constexpr int kMaxTokens = 1 << 24;
constexpr int kMaxRepetitions = 10000;

struct BenchOptions {
  EngineOptions engine;
  bool no_receipt = false;
  BenchPlan plan;
  bool json = false;
};

std::string RowName(const BenchRow& row) {
  const std::string name =
      row.prompt > 0 ? fmt::format("prompt {}", row.prompt) : fmt::format("generate {}", row.generate);
  return row.depth > 0 ? fmt::format("{} behind {}", name, row.depth) : name;
}

std::string RowText(const BenchRow& row) {
  return fmt::format(
      "{:<28} {:>9} {:>19} {:>10.0f}%  {}\n", RowName(row), FormatFigure(row.tokens_per_second),
      fmt::format("{} to {}", FormatFigure(row.min_tokens_per_second), FormatFigure(row.max_tokens_per_second)),
      row.percent_of_limit, row.bound);
}

std::string TableHead() {
  return fmt::format("{:<28} {:>9} {:>19} {:>11}  {}\n", "", "tokens/s", "slowest to fastest", "of limit", "bound by");
}

std::string LimitsText(const BenchReport& report) {
  const MachineLimits& limits = report.limits;
  return fmt::format("{} · {} kernels, {} threads · reads {} GB/s, int8 {} TOPS, f32 {} GFLOPS · peak memory {}\n",
                     report.model, report.isa, limits.threads, FormatFigure(limits.read_gb_per_second),
                     FormatFigure(limits.int8_tops), FormatFigure(limits.fma_gflops),
                     FormatBytes(report.peak_resident_bytes));
}

nlohmann::ordered_json ReportJson(const BenchReport& report, const BenchOptions& options) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const BenchRow& row : report.rows) {
    rows.push_back({{"prompt", row.prompt},
                    {"generate", row.generate},
                    {"depth", row.depth},
                    {"tokens_per_second", row.tokens_per_second},
                    {"min_tokens_per_second", row.min_tokens_per_second},
                    {"max_tokens_per_second", row.max_tokens_per_second},
                    {"read_gb_per_second", row.read_gb_per_second},
                    {"percent_of_limit", row.percent_of_limit},
                    {"bound", row.bound}});
  }
  return {{"model", report.model},
          {"isa", report.isa},
          {"compute", report.compute},
          {"repetitions", options.plan.repetitions},
          {"peak_resident_bytes", report.peak_resident_bytes},
          {"limits", LimitsJson(report.limits)},
          {"rows", rows}};
}

size_t CountRows(const BenchPlan& plan) {
  const auto nonzero = [](const std::vector<int>& list) {
    return list.size() - static_cast<size_t>(std::count(list.begin(), list.end(), 0));
  };
  return (nonzero(plan.prompts) + nonzero(plan.generates)) * plan.depths.size();
}

Result<int> RunBenchCommand(const BenchOptions& options) {
  const size_t total = CountRows(options.plan);
  size_t done = 0;
  Progress progress("measuring");
  EngineOptions engine = WithReceipt(options.engine, options.no_receipt);
  engine.on_progress = [&](const LoadProgress& step) {
    progress.Update(step.done_bytes, step.total_bytes, step.phase);
  };
  const auto on_row = [&](const BenchRow& row) {
    progress.Erase();
    if (!options.json) StreamOut((done == 0 ? TableHead() : "") + RowText(row));
    ++done;
    if (done < total) progress.Update(done, total, fmt::format("{} of {} rows", done, total));
  };
  KV_ASSIGN(const BenchReport report, RunBench(engine, options.plan, on_row));
  progress.Erase();
  WriteOut(options.json ? ReportJson(report, options).dump(2) + "\n" : "\n" + LimitsText(report));
  return 0;
}

}  // namespace

Action DefineBench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  AddCounts(app, "-p,--prompt", "prompt lengths (default 512)", options->plan.prompts, 0, kMaxTokens);
  AddCounts(app, "-n,--generate", "numbers of generated tokens (default 128)", options->plan.generates, 0, kMaxTokens);
  AddCounts(app, "-d,--depth", "tokens in the cache before (default 0)", options->plan.depths, 0, kMaxTokens);
  AddCount(app, "-r,--repetitions", "measurements of each row (default 3)", options->plan.repetitions, 1,
           kMaxRepetitions);
  AddSwitch(app, "--json", options->json, "print one JSON object");
  AddEngineFlags(app, options->engine, options->no_receipt);
  SetFooter(app, kBenchExamples);
  return [&app, options]() -> Result<int> {
    if (CountRows(options->plan) == 0) return UsageError(app, "there is nothing to measure: -p and -n are both 0");
    return RunBenchCommand(*options);
  };
}

}  // namespace kvasir::cli
