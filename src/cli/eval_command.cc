// kvasir eval: how good a configuration is.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/eval_commands.h"
#include "cli/flags.h"
#include "cli/model_flags.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSecondHalf = "the second half of each is scored";

struct GoldenOptions {
  EngineOptions engine;
  std::string directory;
  bool json = false;
};

void Print(bool as_json, const Json& json, const std::string& text) {
  WriteOut(as_json ? json.dump(2) + "\n" : text);
}

// The report of a measure over the text of `options`.
template <typename Report>
Result<Report> Evaluate(const TextEvalOptions& options, const char* value,
                        Result<Report> (*evaluate)(const EngineOptions&, const EvalText&, const EvalProgress&)) {
  EvalText text = options.text;
  KV_ASSIGN(text.text, ReadTextFile(options.file));
  return WithProgress(options.engine, "chunk", value, [&](const EngineOptions& engine, const EvalProgress& progress) {
    return evaluate(engine, text, progress);
  });
}

Result<int> RunPerplexity(const TextEvalOptions& options) {
  KV_ASSIGN(const PerplexityReport report, Evaluate<PerplexityReport>(options, "perplexity", EvalPerplexity));
  Json json = {{"ppl", report.perplexity},  {"standard_error", report.standard_error},
               {"tokens", report.tokens},   {"chunks", report.chunks},
               {"context", report.context}, {"seconds", report.seconds}};
  AddInterval(json, "ppl", report.interval);
  json["resamples"] = kBootstrapResamples;
  Print(options.json, json,
        fmt::format("perplexity {:.4f} +- {:.4f}{} ({} tokens scored in {} chunks of {}, {} s)\n{}", report.perplexity,
                    report.standard_error, IntervalText(report.interval), report.tokens, report.chunks, report.context,
                    FormatFigure(report.seconds), report.interval ? IntervalNote("chunks") : ""));
  return 0;
}

Result<int> RunGolden(const GoldenOptions& options) {
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

std::optional<Interval> InPercent(const std::optional<Interval>& share) {
  if (!share) return std::nullopt;
  return Interval{.low = 100 * share->low, .high = 100 * share->high};
}

Result<int> RunDivergence(const TextEvalOptions& options) {
  KV_ASSIGN(const DivergenceReport report, Evaluate<DivergenceReport>(options, "mean KLD", EvalDivergence));
  Json json = {{"mean_kld", report.mean_kld},
               {"median_kld", report.median_kld},
               {"p99_kld", report.p99_kld},
               {"max_kld", report.max_kld},
               {"same_top", report.same_top},
               {"ppl", report.perplexity},
               {"exact_ppl", report.exact_perplexity},
               {"ppl_ratio", report.perplexity_ratio},
               {"tokens", report.tokens},
               {"chunks", report.chunks},
               {"context", options.text.context},
               {"seconds", report.seconds},
               {"exact_seconds", report.exact_seconds}};
  AddInterval(json, "mean_kld", report.mean_kld_interval);
  AddInterval(json, "same_top", report.same_top_interval);
  AddInterval(json, "ppl", report.perplexity_interval);
  AddInterval(json, "ppl_ratio", report.perplexity_ratio_interval);
  json["resamples"] = kBootstrapResamples;
  Print(options.json, json,
        fmt::format("KL divergence   mean {:.4g}{}, median {:.4g}, 99 % below {:.4g}, largest {:.4g} nats\n"
                    "same top token  {:.2f} %{}\n"
                    "perplexity      {:.4f}{}, exact {:.4f}, ratio {:.5f}{}\n"
                    "{} tokens scored in {} chunks of {}; {} s, exact {} s\n{}",
                    report.mean_kld, IntervalText(report.mean_kld_interval), report.median_kld, report.p99_kld,
                    report.max_kld, 100 * report.same_top, IntervalText(InPercent(report.same_top_interval)),
                    report.perplexity, IntervalText(report.perplexity_interval), report.exact_perplexity,
                    report.perplexity_ratio, IntervalText(report.perplexity_ratio_interval, 5), report.tokens,
                    report.chunks, options.text.context, FormatFigure(report.seconds),
                    FormatFigure(report.exact_seconds), report.mean_kld_interval ? IntervalNote("chunks") : ""));
  return 0;
}

Action DefinePerplexity(CLI::App& app) {
  auto options = std::make_shared<TextEvalOptions>();
  AddTextEvalFlags(app, *options, kSecondHalf);
  app.footer(
      "Examples:\n"
      "  kvasir eval ppl -m smollm2 -f wikitext2-test.txt -c 512 --chunks 4\n"
      "\n"
      "The text is cut into chunks that do not overlap; a token that begins every text of the model replaces the\n"
      "first one of each. Figures compare with those of llama-perplexity with the same -c.");
  return [options] { return RunPerplexity(*options); };
}

Action DefineGolden(CLI::App& app) {
  auto options = std::make_shared<GoldenOptions>();
  AddText(app, "--golden", "DIR", "folder with golden.json and the reference logits", options->directory)->required();
  app.add_flag("--json", options->json, "print one JSON object");
  AddModelFlag(app, options->engine.model);
  AddThreadsFlag(app, options->engine.threads);
  AddPrecisionFlags(app, options->engine);
  app.footer("Examples:\n  kvasir eval golden -m smollm2 --golden ../shared/data/golden/smollm2-135m --compute exact");
  return [options] { return RunGolden(*options); };
}

Action DefineDivergence(CLI::App& app) {
  auto options = std::make_shared<TextEvalOptions>();
  AddTextEvalFlags(app, *options, kSecondHalf);
  app.footer(
      "Examples:\n"
      "  kvasir eval kld -m smollm2 -f wikitext2-test.txt -c 512 --chunks 8\n"
      "  kvasir eval kld -m smollm2 -f wikitext2-test.txt --compute fast --json\n"
      "\n"
      "The same model runs twice in lock-step, once as asked and once with --compute exact, and the distributions of\n"
      "the next token are compared at every scored position.");
  return [options] { return RunDivergence(*options); };
}

}  // namespace

Action DefineEval(CLI::App& app) {
  static constexpr auto kCommands = std::to_array<Command>({
      {"ppl", "Measures", "perplexity of a text: how surprised the model is", DefinePerplexity},
      {"kld", "Measures", "distance of this configuration from exact arithmetic", DefineDivergence},
      {"tokens", "Measures", "that distance by depth in the context", DefineEvalTokens},
      {"ruler", "Measures", "what is found again in a long context: the tasks of RULER", DefineEvalRuler},
      {"golden", "Measures", "distance from logits that another program computed", DefineGolden},
  });
  app.footer(
      "Examples:\n"
      "  kvasir eval ppl -m smollm2 -f wikitext2-test.txt --chunks 4\n"
      "  kvasir eval kld -m smollm2 -f wikitext2-test.txt --chunks 4 --compute fast\n"
      "  kvasir eval ruler -m smollm2 -c 1024 --kv q8\n"
      "\n"
      "Each measure explains itself: kvasir eval ppl --help");
  return DefineCommands(app, kCommands);
}

}  // namespace kvasir::cli
