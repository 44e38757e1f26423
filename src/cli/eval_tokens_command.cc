// kvasir eval tokens: divergence from exact mode by depth in the context.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/eval_commands.h"
#include "cli/flags.h"
#include "cli/plot_file.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kUsualBuckets = 16;
constexpr int kMaxBuckets = 1 << 16;

struct TokensOptions : TextEvalOptions {
  int buckets = kUsualBuckets;
  std::string plot;
};

Json ToJson(const DepthReport& report) {
  Json buckets = Json::array();
  for (const DepthBucket& bucket : report.buckets) {
    Json entry = {{"first", bucket.first}, {"last", bucket.last}, {"mean_kld", bucket.mean_kld}};
    AddInterval(entry, "mean_kld", bucket.mean_kld_interval);
    entry.update({{"p99_kld", bucket.p99_kld}, {"same_top", bucket.same_top}, {"tokens", bucket.tokens}});
    buckets.push_back(std::move(entry));
  }
  Json json = {{"model", report.model}, {"configuration", report.configuration}, {"mean_kld", report.mean_kld}};
  AddInterval(json, "mean_kld", report.mean_kld_interval);
  json.update({{"resamples", kBootstrapResamples},
               {"tokens", report.tokens},
               {"chunks", report.chunks},
               {"context", report.context},
               {"seconds", report.seconds},
               {"exact_seconds", report.exact_seconds},
               {"buckets", buckets}});
  return json;
}

std::string Table(const DepthReport& report) {
  std::string text = fmt::format("{:<16} {:>10} {:<24} {:>9} {:>9}\n", "depth", "mean KLD",
                                 report.chunks > 1 ? " [low, high]" : "", "99 %", "same top");
  for (const DepthBucket& bucket : report.buckets) {
    text +=
        fmt::format("{:<16} {:>10.3g} {:<24} {:>9.3g} {:>7.2f} %\n", fmt::format("{} to {}", bucket.first, bucket.last),
                    bucket.mean_kld, IntervalText(bucket.mean_kld_interval, 3), bucket.p99_kld, 100 * bucket.same_top);
  }
  return text + fmt::format("\nmean KLD {:.4g}{} nats: {} positions in {} chunks of {}; {} s, exact {} s\n{}",
                            report.mean_kld, IntervalText(report.mean_kld_interval), report.tokens, report.chunks,
                            report.context, FormatFigure(report.seconds), FormatFigure(report.exact_seconds),
                            report.mean_kld_interval ? IntervalNote("chunks") : "");
}

plot::LineChart ChartOf(const DepthReport& report) {
  plot::LineChart chart{.title = fmt::format("Divergence from exact mode by depth: {}", report.model),
                        .subtitle = fmt::format("{} · {} {} of {} tokens{}", report.configuration, report.chunks,
                                                report.chunks == 1 ? "chunk" : "chunks", report.context,
                                                report.chunks > 1 ? " · band: 95 % bootstrap interval" : ""),
                        .x_label = "tokens in the context before",
                        .y_label = "mean KL divergence (nats)",
                        .points = {}};
  for (const DepthBucket& bucket : report.buckets) {
    plot::LinePoint point{.x = (bucket.first + bucket.last) / 2.0, .y = bucket.mean_kld, .range = {}};
    if (bucket.mean_kld_interval) point.range = {bucket.mean_kld_interval->low, bucket.mean_kld_interval->high};
    chart.points.push_back(point);
  }
  return chart;
}

Result<int> RunTokens(const TokensOptions& options) {
  KV_TRY(CheckPlotFolder(options.plot));
  EvalText text = options.text;
  KV_ASSIGN(text.text, ReadTextFile(options.file));
  KV_ASSIGN(const DepthReport report, WithProgress(options.engine, "chunk", "mean KLD",
                                                   [&](const EngineOptions& engine, const EvalProgress& progress) {
                                                     return EvalDepth(engine, text, options.buckets, progress);
                                                   }));
  WriteOut(options.json ? ToJson(report).dump(2) + "\n" : Table(report));
  KV_TRY(WritePlot(options.plot, ChartOf(report)));
  return 0;
}

}  // namespace

Action DefineEvalTokens(CLI::App& app) {
  auto options = std::make_shared<TokensOptions>();
  AddTextEvalFlags(app, *options, "every position is compared");
  AddCount(app, "--buckets", fmt::format("cut a chunk into N ranges of positions (default {})", kUsualBuckets),
           options->buckets, 1, kMaxBuckets);
  AddPlotFlag(app, "mean KLD against depth", options->plot);
  SetFooter(app,
            "Examples:\n"
            "  kvasir eval tokens -m smollm2 -f wikitext2-test.txt -c 2048 --chunks 4 --kv q8\n"
            "  kvasir eval tokens -m smollm2 -f wikitext2-test.txt -c 2048 --chunks 4 --kv q8 --plot depth.svg --json\n"
            "\n"
            "Like eval kld, but at every position of a chunk, and by the number of tokens before it: where in a long\n"
            "context a cache begins to cost quality.");
  return [options] { return RunTokens(*options); };
}

}  // namespace kvasir::cli
