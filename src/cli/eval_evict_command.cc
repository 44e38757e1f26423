// kvasir eval evict: what eviction policies cost, beside each other.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "cli/eval_commands.h"
#include "cli/flags.h"
#include "cli/plot_file.h"
#include "cli/ruler_flags.h"
#include "kvasir/eviction_eval.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxSamples = 100000;
constexpr double kSameShare = 0.05;  // whole pages make a difference of up to 63 tokens

struct EvictOptions : TextEvalOptions {
  std::vector<std::string> policies;
  std::vector<std::string> budgets = {"50%", "25%"};
  RulerPlan ruler{.samples = 5};
  std::string plot;
};

// Every policy with every budget, stored as --kv says. The errors are those of such a --kv.
Result<std::vector<KvSpec>> CachesOf(const EvictOptions& options) {
  const KvSpec& stored = options.engine.kv;
  if (stored.evicts()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("--kv is '{}', but it says how all caches are stored: name what evicts with --policies and "
                            "--budgets",
                            KvSpecText(stored)));
  }
  const std::vector<std::string> policies = options.policies.empty() ? EvictionPolicyList() : options.policies;
  std::vector<KvSpec> caches;
  for (const std::string& budget : options.budgets) {
    for (const std::string& policy : policies) {
      KV_ASSIGN(KvSpec spec, ParseKvSpec(fmt::format("{},evict={},budget={}", KvSpecText(stored), policy, budget)));
      if (EvictionDraws(policy)) spec.evict_seed = options.text.seed;
      caches.push_back(std::move(spec));
    }
  }
  return caches;
}

Json RulerJson(const EvictionCost& cost) {
  Json json = {{"score", cost.ruler.score}};
  AddInterval(json, "score", cost.ruler.interval);
  json["solved_score"] = cost.solved_score;
  AddInterval(json, "solved_score", cost.solved_interval);
  json["tasks"] = Json::object();
  for (const RulerTaskReport& task : cost.ruler.tasks) json["tasks"][task.task] = task.score;
  return json;
}

Json ToJson(const EvictionCost& cost, bool ruler) {
  Json json = {{"kv", KvSpecText(cost.kv)},
               {"policy", cost.kv.evict},
               {"budget", cost.kv.BudgetText()},
               {"held", cost.held},
               {"held_tokens", cost.held_tokens}};
  AddDivergence(json, cost.divergence);
  AddInterval(json, "mean_kld", cost.divergence.mean_kld_interval);
  AddInterval(json, "same_top", cost.divergence.same_top_interval);
  AddInterval(json, "ppl_ratio", cost.divergence.perplexity_ratio_interval);
  if (ruler) json["ruler"] = RulerJson(cost);
  return json;
}

Json ToJson(const EvictionReport& report, const EvictOptions& options) {
  const bool ruler = options.ruler.samples > 0;
  Json json = {{"model", report.model},     {"configuration", report.configuration}, {"context", options.text.context},
               {"seed", options.text.seed}, {"resamples", kBootstrapResamples},      {"seconds", report.seconds}};
  if (ruler) {
    json["samples"] = options.ruler.samples;
    json["query_aware"] = options.ruler.query_aware;
    json["chat_template"] = report.whole.ruler.chat_template;
    json["solved"] = report.solved;
    json["whole"] = RulerJson(report.whole);
  }
  json["rows"] = Json::array();
  for (const EvictionCost& row : report.rows) json["rows"].push_back(ToJson(row, ruler));
  return json;
}

std::string RulerColumns(const EvictionCost& cost, bool solved) {
  std::string text = fmt::format("  {:>7.1f}", 100 * cost.ruler.score);
  if (solved) text += fmt::format("  {:>8.1f} {:<9}", 100 * cost.solved_score, PercentRange(cost.solved_interval));
  return text;
}

std::string Table(const EvictionReport& report, const EvictOptions& options) {
  const bool ruler = options.ruler.samples > 0;
  const bool solved = !report.solved.empty();
  const DivergenceReport& first = report.rows.front().divergence;
  std::string text = fmt::format("{:<10} {:>6}  {:>5}  {:>5}  {:>9} {:<19}  {:>8}  {:>10}", "policy", "budget", "held",
                                 "bytes", "mean KLD", first.chunks > 1 ? "[low, high]" : "", "same top", "perplexity");
  if (ruler) text += fmt::format("  {:>7}{}", "RULER %", solved ? "  solved %" : "");
  text += "\n";
  if (ruler) text += fmt::format("{:<82}{}\n", "whole cache", RulerColumns(report.whole, solved));
  for (const EvictionCost& row : report.rows) {
    const DivergenceReport& each = row.divergence;
    text +=
        fmt::format("{:<10} {:>6}  {:>3.0f} %  {:>3.0f} %  {:>9.3g}{:<20}  {:>6.1f} %  {:>+8.1f} %", row.kv.evict,
                    row.kv.BudgetText(), 100 * row.held_tokens, 100 * row.held, each.mean_kld,
                    IntervalText(each.mean_kld_interval, 3), 100 * each.same_top, 100 * (each.perplexity_ratio - 1));
    text += (ruler ? RulerColumns(row, solved) : "") + "\n";
  }
  text += fmt::format("\n{} · {} · {} tokens · KLD from the whole cache: {} tokens in {} chunks", report.model,
                      report.configuration, options.text.context, first.tokens, first.chunks);
  if (ruler) {
    text += fmt::format("\nRULER: {} samples each, seed {}, {}{}", options.ruler.samples, options.ruler.seed,
                        report.whole.ruler.chat_template ? "chat template" : "plain text",
                        options.ruler.query_aware ? ", the question is known before anything is forgotten" : "");
    if (solved) text += fmt::format("; solved by the whole cache: {}", fmt::join(report.solved, ", "));
  }
  text += "\nheld: tokens of the text, in layers without a window; bytes: of all layers";
  return text + fmt::format("\n{} s\n{}", FormatFigure(report.seconds),
                            first.chunks > 1 ? IntervalNote("chunks and samples") : "");
}

// The policy, and what it held where that is more than what others did with this budget.
std::string LabelOf(const EvictionReport& report, size_t row, size_t policies) {
  const auto panel = std::span(report.rows).subspan(row / policies * policies, policies);
  const double least = std::ranges::min(panel, {}, &EvictionCost::held_tokens).held_tokens;
  const EvictionCost& cost = report.rows[row];
  const bool more = cost.held_tokens > least + kSameShare;
  return more ? fmt::format("{} ({:.0f} % held)", cost.kv.evict, 100 * cost.held_tokens) : cost.kv.evict;
}

// A panel for each budget: what is still found against the distance.
plot::ScatterChart ChartOf(const EvictionReport& report, const EvictOptions& options) {
  const bool ruler = !report.solved.empty();
  plot::ScatterChart chart{
      .title = fmt::format("What eviction costs at {} tokens: {}", options.text.context, report.model),
      .subtitle =
          fmt::format("{} · {} chunks{}", report.configuration, report.rows.front().divergence.chunks,
                      ruler ? fmt::format(" · {} samples of {} tasks; the whole cache finds {:.0f} %",
                                          options.ruler.samples, report.solved.size(), 100 * report.whole.solved_score)
                            : ""),
      .x_label = ruler ? "RULER: found of what is asked for (%)" : "bytes held (% of the whole cache)",
      .panels = {}};
  for (const std::string& budget : options.budgets) {
    chart.panels.push_back({.y_label = fmt::format("mean KLD, {} kept", budget), .logarithmic = true, .points = {}});
  }
  const size_t policies = report.rows.size() / options.budgets.size();
  for (size_t i = 0; i < report.rows.size(); ++i) {
    const EvictionCost& row = report.rows[i];
    plot::ScatterPoint point{.label = LabelOf(report, i, policies),
                             .x = 100 * (ruler ? row.solved_score : row.held),
                             .y = row.divergence.mean_kld,
                             .range = {}};
    if (const auto& interval = row.divergence.mean_kld_interval) point.range = {interval->low, interval->high};
    chart.panels[i / policies].points.push_back(std::move(point));
  }
  return chart;
}

Result<int> RunEvict(const EvictOptions& options) {
  KV_TRY(CheckPlotFolder(options.plot));
  EvictionPlan plan{.caches = {}, .text = options.text, .ruler = options.ruler};
  KV_ASSIGN(plan.caches, CachesOf(options));
  KV_ASSIGN(plan.text.text, ReadTextFile(options.file));
  plan.ruler.seed = options.text.seed;
  KV_ASSIGN(const EvictionReport report, WithProgress(options.engine, "step", "done",
                                                      [&](const EngineOptions& engine, const EvalProgress& progress) {
                                                        return EvalEviction(engine, plan, progress);
                                                      }));
  WriteOut(options.json ? ToJson(report, options).dump(2) + "\n" : Table(report, options));
  KV_TRY(WritePlot(options.plot, ChartOf(report, options)));
  return 0;
}

}  // namespace

Action DefineEvalEvict(CLI::App& app) {
  auto options = std::make_shared<EvictOptions>();
  AddTextEvalFlags(app, *options, "the last quarter is scored, 512 tokens at most", EvalCaches::kWhole);
  AddNames(app, "--policies", "which policies (default all)", options->policies);
  AddNames(app, "--budgets", "tokens that are kept, or their share (default 50%,25%)", options->budgets);
  AddTasksFlag(app, options->ruler.tasks);
  AddCount(app, "--samples", "prompts for each task; 0 asks nothing (default 5)", options->ruler.samples, 0,
           kMaxSamples);
  AddSwitch(app, "--raw", options->ruler.raw, "plain text, even if the model has a chat template");
  AddSwitch(app, "--query-aware", options->ruler.query_aware, "let the cache see the question before it forgets");
  AddPlotFlag(app, "mean KLD against what is found, a panel for each budget", options->plot);
  SetFooter(
      app, fmt::format(
               "Examples:\n"
               "  kvasir eval evict -m smollm2 -f wikitext2-test.txt -c 2048 --chunks 4\n"
               "  kvasir eval evict -m smollm2 -f wikitext2-test.txt -c 2048 --policies tova,snapkv,random --budgets "
               "25% --tasks niah --query-aware\n"
               "\n"
               "Every text and every prompt is computed once, with all tokens kept. Then each policy forgets, and its\n"
               "predictions are compared with those of the whole cache, and its answers with what is asked for.\n"
               "Policies: {}.",
               fmt::join(EvictionPolicyList(), ", ")));
  return [options] { return RunEvict(*options); };
}

}  // namespace kvasir::cli
