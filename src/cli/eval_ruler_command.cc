// kvasir eval ruler: what a model finds again in a long context.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/eval_commands.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/plot_file.h"
#include "cli/ruler_flags.h"
#include "kvasir/ruler.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMinRulerContext = 64;
constexpr int kMaxRulerContext = 1 << 24;
constexpr int kMaxRulerSamples = 100000;

struct RulerOptions {
  EngineOptions engine;
  RulerPlan plan;
  std::string file;
  std::string plot;
  bool json = false;
};

Json ToJson(const RulerSample& sample) {
  Json expected = Json::array();
  for (const RulerExpected& fact : sample.expected) {
    expected.push_back(
        {{"text", fact.text}, {"depth", fact.depth < 0 ? Json(nullptr) : Json(fact.depth)}, {"found", fact.found}});
  }
  return {{"prompt_tokens", sample.prompt_tokens},
          {"context_tokens", sample.context_tokens},
          {"score", sample.score},
          {"expected", expected},
          {"answer", sample.answer}};
}

Json ToJson(const RulerReport& report, const RulerOptions& options) {
  Json tasks = Json::array();
  for (const RulerTaskReport& task : report.tasks) {
    Json entry = {{"task", task.task}, {"score", task.score}};
    AddInterval(entry, "score", task.interval);
    entry["samples"] = Json::array();
    for (const RulerSample& sample : task.samples) entry["samples"].push_back(ToJson(sample));
    tasks.push_back(std::move(entry));
  }
  Json json = {{"model", report.model}, {"configuration", report.configuration}, {"score", report.score}};
  AddInterval(json, "score", report.interval);
  json.update({{"resamples", kBootstrapResamples},
               {"context", options.plan.context},
               {"samples", options.plan.samples},
               {"seed", options.plan.seed},
               {"chat_template", report.chat_template},
               {"query_aware", options.plan.query_aware},
               {"seconds", report.seconds},
               {"tasks", tasks}});
  return json;
}

std::string Percent(double share) {
  return fmt::format("{:.1f}", 100 * share);
}

std::string Table(const RulerReport& report, const RulerOptions& options) {
  const bool intervals = report.interval.has_value();
  std::string text = fmt::format("{:<18} {:>7}{}\n", "task", "score %", intervals ? "  [low, high]" : "");
  const auto row = [&](std::string_view name, double score, const std::optional<Interval>& interval) {
    text += fmt::format("{:<18} {:>7}{}\n", name, Percent(score), intervals ? "  " + PercentRange(interval) : "");
  };
  for (const RulerTaskReport& task : report.tasks) row(task.task, task.score, task.interval);
  if (report.tasks.size() > 1) row("mean", report.score, report.interval);
  return text + fmt::format("\n{} · {} · {} tokens, {} · {} samples each, seed {} · {} s\n{}", report.model,
                            report.configuration, options.plan.context,
                            report.chat_template ? "chat template" : "plain text", options.plan.samples,
                            options.plan.seed, FormatFigure(report.seconds), intervals ? IntervalNote("samples") : "");
}

plot::BarChart ChartOf(const RulerReport& report, const RulerOptions& options) {
  plot::BarChart chart{.title = fmt::format("RULER at {} tokens: {}", options.plan.context, report.model),
                       .subtitle = fmt::format("{} · {} {} of each task{}", report.configuration, options.plan.samples,
                                               options.plan.samples == 1 ? "sample" : "samples",
                                               report.interval ? " · whiskers: 95 % bootstrap interval" : ""),
                       .x_label = "expected strings found in the answer",
                       .bars = {}};
  const auto add = [&](std::string_view label, double score, const std::optional<Interval>& interval) {
    plot::Bar bar{.label = std::string(label), .value = score, .range = {}, .figures = Percent(score) + " %"};
    if (interval) {
      bar.range = {interval->low, interval->high};
      bar.figures += "  " + PercentRange(interval);
    }
    chart.bars.push_back(std::move(bar));
  };
  for (const RulerTaskReport& task : report.tasks) add(task.task, task.score, task.interval);
  if (report.tasks.size() > 1) add("mean", report.score, report.interval);
  return chart;
}

Result<int> RunRuler(const RulerOptions& options) {
  KV_TRY(CheckPlotFolder(options.plot));
  RulerPlan plan = options.plan;
  if (!options.file.empty()) {
    KV_ASSIGN(plan.haystack, ReadTextFile(options.file));
    if (plan.haystack.empty())
      return Fail(ErrorCode::kInvalidArgument, options.file + " is empty; a haystack needs sentences");
  }
  KV_ASSIGN(const RulerReport report, WithProgress(options.engine, "sample", "mean score",
                                                   [&](const EngineOptions& engine, const EvalProgress& progress) {
                                                     return EvalRuler(engine, plan, progress);
                                                   }));
  WriteOut(options.json ? ToJson(report, options).dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                        : Table(report, options));
  KV_TRY(WritePlot(options.plot, ChartOf(report, options)));
  return 0;
}

}  // namespace

Action DefineEvalRuler(CLI::App& app) {
  auto options = std::make_shared<RulerOptions>();
  AddCount(app, "-c,--ctx,--context", "tokens of a prompt and its answer (default 2048)", options->plan.context,
           kMinRulerContext, kMaxRulerContext);
  AddTasksFlag(app, options->plan.tasks);
  AddCount(app, "--samples", "prompts for each task (default 10)", options->plan.samples, 1, kMaxRulerSamples);
  AddSeedFlag(app, "same seed, same prompts and intervals", options->plan.seed);
  AddText(app, "-f,--file", "FILE",
          "the text that needles are hidden in; - is standard input (default: made-up sentences)", options->file);
  AddSwitch(app, "--raw", options->plan.raw, "plain text, even if the model has a chat template");
  AddSwitch(app, "--query-aware", options->plan.query_aware, "let the cache see the question before it may compress");
  AddPlotFlag(app, "the scores", options->plot);
  AddSwitch(app, "--json", options->json, "print one JSON object, with every answer");
  AddModelFlag(app, options->engine.model);
  AddThreadsFlag(app, options->engine.threads);
  AddPrecisionFlags(app, options->engine);
  SetFooter(
      app,
      fmt::format("Examples:\n"
                  "  kvasir eval ruler -m smollm2 -c 1024 --kv q8\n"
                  "  kvasir eval ruler -m smollm2 -c 4096 --tasks niah_single,vt --samples 50 --plot ruler.svg\n"
                  "\n"
                  "Tasks: {}. Each prompt fills the context but for the answer. The score of an answer is the share of "
                  "the expected "
                  "strings in it.",
                  fmt::join(RulerTasks(), ", ")));
  return [options] { return RunRuler(*options); };
}

}  // namespace kvasir::cli
