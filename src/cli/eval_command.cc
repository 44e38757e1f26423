// kvasir eval: how good a configuration is.
#include <fmt/format.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/eval_commands.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/plot_file.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

struct GoldenOptions {
  EngineOptions engine;
  std::string directory;
  bool json = false;
};

void Print(bool as_json, const Json& json, const std::string& text) {
  WriteOut(as_json ? json.dump(2) + "\n" : text);
}

struct PerplexityOptions : TextEvalOptions {
  std::string plot;
};

// How the figure settles as chunks come, and where the whole of them says that it lies.
plot::LineChart ChartOf(const PerplexityReport& report, const std::vector<double>& running,
                        const PerplexityOptions& options) {
  plot::LineChart chart{
      .title = fmt::format("Perplexity: {}", options.engine.model),
      .subtitle = fmt::format("{:.4f}{} · compute {}, --kv {} · {} {} of {} tokens{}", report.perplexity,
                              IntervalText(report.interval), ComputeModeName(options.engine.compute),
                              KvSpecText(options.engine.kv), report.chunks, report.chunks == 1 ? "chunk" : "chunks",
                              report.context, report.interval ? " · band: 95 % bootstrap interval" : ""),
      .x_label = "chunks so far",
      .y_label = "perplexity",
      .points = {}};
  for (size_t i = 0; i < running.size(); ++i) {
    plot::LinePoint point{.x = static_cast<double>(i + 1), .y = running[i], .range = {}};
    if (report.interval) point.range = {report.interval->low, report.interval->high};
    chart.points.push_back(point);
  }
  return chart;
}

Result<int> RunPerplexity(const PerplexityOptions& options) {
  KV_TRY(CheckPlotFolder(options.plot));
  EvalText text = options.text;
  KV_ASSIGN(text.text, ReadTextFile(options.file));
  std::vector<double> running;
  KV_ASSIGN(const PerplexityReport report, WithProgress(options.engine, "chunk", "perplexity",
                                                        [&](const EngineOptions& engine, const EvalProgress& progress) {
                                                          return EvalPerplexity(
                                                              engine, text, [&](int done, int total, double so_far) {
                                                                running.push_back(so_far);
                                                                return progress(done, total, so_far);
                                                              });
                                                        }));
  Json json = {{"ppl", report.perplexity},  {"standard_error", report.standard_error},
               {"tokens", report.tokens},   {"chunks", report.chunks},
               {"context", report.context}, {"seconds", report.seconds}};
  AddInterval(json, "ppl", report.interval);
  json["resamples"] = kBootstrapResamples;
  Print(options.json, json,
        fmt::format("perplexity {:.4f} +- {:.4f}{} ({} tokens scored in {} chunks of {}, {} s)\n{}", report.perplexity,
                    report.standard_error, IntervalText(report.interval), report.tokens, report.chunks, report.context,
                    FormatFigure(report.seconds), report.interval ? IntervalNote("chunks") : ""));
  KV_TRY(WritePlot(options.plot, ChartOf(report, running, options)));
  return 0;
}

Result<int> RunGolden(const GoldenOptions& options) {
  NoteMissingCalibration(options.engine.model, {&options.engine.kv, 1});
  KV_ASSIGN(const GoldenReport report, EvalGolden(options.engine, options.directory));
  Print(options.json,
        {{"mean_kld", report.mean_kld},
         {"max_kld", report.max_kld},
         {"same_top", report.same_top},
         {"max_abs_nll_error", report.max_abs_nll_error},
         {"positions", report.positions},
         {"tokens", report.tokens}},
        fmt::format("KL divergence   mean {:.3g}, largest {:.3g} nats ({} positions)\n"
                    "same top token  {:.2f} %\n"
                    "token loss      off by at most {:.3g} nats ({} tokens)\n",
                    report.mean_kld, report.max_kld, report.positions, 100 * report.same_top, report.max_abs_nll_error,
                    report.tokens));
  return 0;
}

Action DefinePerplexity(CLI::App& app) {
  auto options = std::make_shared<PerplexityOptions>();
  AddTextEvalFlags(app, *options, kSecondHalf);
  AddPlotFlag(app, "perplexity against chunks so far", options->plot);
  SetFooter(
      app,
      "Examples:\n"
      "  kvasir eval ppl -m smollm2 -f wikitext2-test.txt -c 512 --chunks 4\n"
      "\n"
      "The text is cut into chunks that do not overlap; a token that begins every text of the model replaces the\n"
      "first one of each. Figures compare with those of llama-perplexity with the same -c.");
  return [options] { return RunPerplexity(*options); };
}

Action DefineGolden(CLI::App& app) {
  auto options = std::make_shared<GoldenOptions>();
  AddText(app, "--golden", "DIR", "folder with golden.json and the reference logits", options->directory).Required();
  AddSwitch(app, "--json", options->json, "print one JSON object");
  AddModelFlag(app, options->engine.model);
  AddThreadsFlag(app, options->engine.threads);
  AddPrecisionFlags(app, options->engine);
  SetFooter(app,
            "Examples:\n  kvasir eval golden -m smollm2 --golden ../shared/data/golden/smollm2-135m --compute exact");
  return [options] { return RunGolden(*options); };
}

}  // namespace

Action DefineEval(CLI::App& app) {
  static constexpr auto kCommands = std::to_array<Command>({
      {"ppl", "Measures", "perplexity of a text: how surprised the model is", DefinePerplexity},
      {"kld", "Measures", "distance of this configuration from exact arithmetic", DefineEvalKld},
      {"tokens", "Measures", "that distance by depth in the context", DefineEvalTokens},
      {"ruler", "Measures", "what is found again in a long context: the tasks of RULER", DefineEvalRuler},
      {"evict", "Measures", "what eviction policies cost: divergence and what is still found", DefineEvalEvict},
      {"golden", "Measures", "distance from logits that another program computed", DefineGolden},
  });
  SetFooter(app,
            "Examples:\n"
            "  kvasir eval ppl -m smollm2 -f wikitext2-test.txt --chunks 4\n"
            "  kvasir eval kld -m smollm2 -f wikitext2-test.txt --chunks 4 --compute fast\n"
            "  kvasir eval ruler -m smollm2 -c 1024 --kv q8\n"
            "\n"
            "Each measure explains itself: kvasir eval ppl --help");
  return DefineCommands(app, kCommands);
}

}  // namespace kvasir::cli
