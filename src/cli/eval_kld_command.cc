// kvasir eval kld: the distance of one configuration from exact mode, or of several caches over one exact pass.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command_list.h"
#include "cli/eval_commands.h"
#include "cli/flags.h"
#include "cli/plot_file.h"
#include "kvasir/inspect.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

struct KldOptions : TextEvalOptions {
  std::vector<KvSpec> caches;
  std::string plot;
};

void AddIntervals(Json& json, const DivergenceReport& report) {
  AddInterval(json, "mean_kld", report.mean_kld_interval);
  AddInterval(json, "same_top", report.same_top_interval);
  AddInterval(json, "ppl", report.perplexity_interval);
  AddInterval(json, "ppl_ratio", report.perplexity_ratio_interval);
}

Json ToJson(const DivergenceReport& report, int context) {
  Json json = Json::object();
  AddDivergence(json, report);
  json.update({{"context", context}, {"seconds", report.seconds}, {"exact_seconds", report.exact_seconds}});
  AddIntervals(json, report);
  json["resamples"] = kBootstrapResamples;
  return json;
}

std::string ToText(const DivergenceReport& report, int context) {
  return fmt::format(
      "KL divergence   mean {:.4g}{}, median {:.4g}, 99 % below {:.4g}, largest {:.4g} nats\n"
      "same top token  {:.2f} %{}\n"
      "perplexity      {:.4f}{}, exact {:.4f}, ratio {:.5f}{}\n"
      "{} tokens scored in {} chunks of {}; {} s, exact {} s\n{}",
      report.mean_kld, IntervalText(report.mean_kld_interval), report.median_kld, report.p99_kld, report.max_kld,
      100 * report.same_top, IntervalText(InPercent(report.same_top_interval)), report.perplexity,
      IntervalText(report.perplexity_interval), report.exact_perplexity, report.perplexity_ratio,
      IntervalText(report.perplexity_ratio_interval, 5), report.tokens, report.chunks, context,
      FormatFigure(report.seconds), FormatFigure(report.exact_seconds),
      report.mean_kld_interval ? IntervalNote("chunks") : "");
}

// Several caches: what each of them takes, and what it costs.
struct Comparison {
  std::vector<CacheSize> sizes;
  std::vector<DivergenceReport> reports;
};

Json ToJson(const Comparison& comparison, int context) {
  Json json = ToJson(comparison.reports.front(), context);
  json["configurations"] = Json::array();
  for (size_t i = 0; i < comparison.reports.size(); ++i) {
    Json entry = {{"kv", KvSpecText(comparison.sizes[i].kv)},
                  {"bits_per_element", comparison.sizes[i].bits_per_element}};
    entry.update(ToJson(comparison.reports[i], context));
    json["configurations"].push_back(std::move(entry));
  }
  return json;
}

std::string ToText(const Comparison& comparison, int context) {
  size_t width = 4;
  for (const CacheSize& size : comparison.sizes) width = std::max(width, KvSpecText(size.kv).size());
  const bool intervals = comparison.reports.front().chunks > 1;
  std::string text = fmt::format("{:<{}}  {:>5}  {:>9} {:<23} {:>8}  {:>9} {:>10} {:>7}\n", "--kv", width, "bits",
                                 "mean KLD", intervals ? "[low, high]" : "", "99 %", "same top", "perplexity", "s");
  for (size_t i = 0; i < comparison.reports.size(); ++i) {
    const DivergenceReport& report = comparison.reports[i];
    text += fmt::format("{:<{}}  {:>5.2f}  {:>9.3g}{:<24} {:>8.3g}  {:>7.2f} % {:>+8.2f} % {:>7}\n",
                        KvSpecText(comparison.sizes[i].kv), width, comparison.sizes[i].bits_per_element,
                        report.mean_kld, IntervalText(report.mean_kld_interval, 3), report.p99_kld,
                        100 * report.same_top, 100 * (report.perplexity_ratio - 1), FormatFigure(report.seconds));
  }
  const DivergenceReport& first = comparison.reports.front();
  return text + fmt::format("\n{} tokens scored in {} chunks of {}; exact perplexity {:.4f}, {} s\n{}", first.tokens,
                            first.chunks, context, first.exact_perplexity, FormatFigure(first.exact_seconds),
                            intervals ? IntervalNote("chunks") : "");
}

plot::ScatterChart ChartOf(const Comparison& comparison, const KldOptions& options) {
  const int chunks = comparison.reports.front().chunks;
  plot::ScatterChart chart{
      .title = fmt::format("Divergence from exact mode by cache: {}", options.engine.model),
      .subtitle = fmt::format("compute {} · {} {} of {} tokens{}", ComputeModeName(options.engine.compute), chunks,
                              chunks == 1 ? "chunk" : "chunks", options.text.context,
                              chunks > 1 ? " · bars: 95 % bootstrap intervals" : ""),
      .x_label = kBitsLabel,
      .panels = {{.y_label = kKldLabel, .logarithmic = true, .points = {}}}};
  for (size_t i = 0; i < comparison.reports.size(); ++i) {
    chart.panels.front().points.push_back(
        KldPoint(comparison.sizes[i].kv, comparison.sizes[i].bits_per_element, comparison.reports[i]));
  }
  return chart;
}

Result<int> RunKld(const KldOptions& options) {
  KV_TRY(CheckPlotFolder(options.plot));
  EvalText text = options.text;
  KV_ASSIGN(text.text, ReadTextFile(options.file));
  const std::vector<KvSpec> caches = options.caches.empty() ? std::vector<KvSpec>(1) : options.caches;
  NoteMissingCalibration(options.engine.model, caches);
  KV_ASSIGN(
      std::vector<DivergenceReport> reports,
      WithProgress(options.engine, "chunk", "mean KLD", [&](const EngineOptions& engine, const EvalProgress& progress) {
        return EvalDivergences(engine, caches, text, progress);
      }));
  if (caches.size() == 1) {
    WriteOut(options.json ? ToJson(reports.front(), text.context).dump(2) + "\n"
                          : ToText(reports.front(), text.context));
    if (options.plot.empty()) return 0;
  }
  EngineOptions engine = options.engine;
  engine.context_tokens = text.context;
  Comparison comparison{.sizes = {}, .reports = std::move(reports)};
  KV_ASSIGN(comparison.sizes, InspectCaches(engine, caches));
  if (caches.size() > 1) {
    WriteOut(options.json ? ToJson(comparison, text.context).dump(2) + "\n" : ToText(comparison, text.context));
  }
  KV_TRY(WritePlot(options.plot, ChartOf(comparison, options)));
  return 0;
}

}  // namespace

Action DefineEvalKld(CLI::App& app) {
  auto options = std::make_shared<KldOptions>();
  AddTextEvalFlags(app, *options, kSecondHalf, EvalCaches::kSeveral, &options->caches);
  AddPlotFlag(app, "bits per element against mean KLD, of each --kv", options->plot);
  SetFooter(
      app,
      "Examples:\n"
      "  kvasir eval kld -m smollm2 -f wikitext2-test.txt -c 512 --chunks 8\n"
      "  kvasir eval kld -m smollm2 -f wikitext2-test.txt --compute fast --json\n"
      "  kvasir eval kld -m smollm2 -f wikitext2-test.txt -c 2048 --chunks 4 --compute exact --kv q8 --kv ch4 --kv "
      "ch3\n"
      "\n"
      "The same model runs twice in lock-step, once as asked and once with --compute exact, and the distributions of\n"
      "the next token are compared at every scored position. With several --kv each of them is compared with the same\n"
      "pass of exact mode.");
  return [options] { return RunKld(*options); };
}

}  // namespace kvasir::cli
