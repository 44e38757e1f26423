// kvasir eval: how good a configuration is.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/figures.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "kvasir/eval.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMinContext = 8;
constexpr int kMaxContext = 1 << 24;

struct EvalOptions {
  EngineOptions engine;
  EvalText text;
  std::string file;
  std::string golden;
  bool json = false;
};

// What every evaluation of a text has in common: model, text, context, chunks.
void AddTextFlags(CLI::App& app, EvalOptions& options) {
  AddText(app, "-f,--file", "FILE", "the text; - is standard input", options.file)->required();
  AddCount(app, "-c,--ctx", "tokens of a chunk; the second half of each is scored (default 512)", options.text.context,
           kMinContext, kMaxContext);
  AddCount(app, "--chunks", "use the first N chunks only; 0 uses all (default 0)", options.text.max_chunks, 0);
  app.add_flag("--json", options.json, "print one JSON object");
  AddModelFlag(app, options.engine.model);
  AddThreadsFlag(app, options.engine.threads);
  AddPrecisionFlags(app, options.engine);
}

// Runs `evaluate` with a progress line; Ctrl-C ends it after the chunk at hand.
template <typename Report>
Result<Report> WithProgress(const EvalOptions& options, const char* value,
                            Result<Report> (*evaluate)(const EngineOptions&, const EvalText&, const EvalProgress&)) {
  EvalText text = options.text;
  KV_ASSIGN(text.text, ReadTextFile(options.file));
  Progress progress("evaluating");
  EngineOptions engine = options.engine;
  engine.on_progress = [&](const LoadProgress& step) {
    progress.Update(step.done_bytes, step.total_bytes, step.phase);
  };
  const Interrupt interrupt;
  return evaluate(engine, text, [&](int done, int total, double running) {
    progress.Update(static_cast<uint64_t>(done), static_cast<uint64_t>(total),
                    fmt::format("chunk {} of {} · {} {}", done, total, value, FormatFigure(running)));
    return !interrupt.raised();
  });
}

void Print(const EvalOptions& options, const Json& json, const std::string& text) {
  WriteOut(options.json ? json.dump(2) + "\n" : text);
}

Result<int> RunPerplexity(const EvalOptions& options) {
  KV_ASSIGN(const PerplexityReport report, WithProgress<PerplexityReport>(options, "perplexity", EvalPerplexity));
  Print(options,
        {{"ppl", report.perplexity},
         {"standard_error", report.standard_error},
         {"tokens", report.tokens},
         {"chunks", report.chunks},
         {"context", report.context},
         {"seconds", report.seconds}},
        fmt::format("perplexity {:.4f} +- {:.4f} ({} tokens scored in {} chunks of {}, {} s)\n", report.perplexity,
                    report.standard_error, report.tokens, report.chunks, report.context, FormatFigure(report.seconds)));
  return 0;
}

Result<int> RunGolden(const EvalOptions& options) {
  KV_ASSIGN(const GoldenReport report, EvalGolden(options.engine, options.golden));
  Print(options,
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

Result<int> RunDivergence(const EvalOptions& options) {
  KV_ASSIGN(const DivergenceReport report, WithProgress<DivergenceReport>(options, "mean KLD", EvalDivergence));
  Print(options,
        {{"mean_kld", report.mean_kld},
         {"median_kld", report.median_kld},
         {"p99_kld", report.p99_kld},
         {"max_kld", report.max_kld},
         {"same_top", report.same_top},
         {"ppl", report.perplexity},
         {"exact_ppl", report.exact_perplexity},
         {"tokens", report.tokens},
         {"chunks", report.chunks},
         {"context", options.text.context},
         {"seconds", report.seconds},
         {"exact_seconds", report.exact_seconds}},
        fmt::format("KL divergence   mean {:.4g}, median {:.4g}, 99 % below {:.4g}, largest {:.4g} nats\n"
                    "same top token  {:.2f} %\n"
                    "perplexity      {:.4f}, exact {:.4f}\n"
                    "{} tokens scored in {} chunks of {}; {} s, exact {} s\n",
                    report.mean_kld, report.median_kld, report.p99_kld, report.max_kld, 100 * report.same_top,
                    report.perplexity, report.exact_perplexity, report.tokens, report.chunks, options.text.context,
                    FormatFigure(report.seconds), FormatFigure(report.exact_seconds)));
  return 0;
}

Action DefinePerplexity(CLI::App& app) {
  auto options = std::make_shared<EvalOptions>();
  AddTextFlags(app, *options);
  app.footer(
      "Examples:\n"
      "  kvasir eval ppl -m smollm2 -f wikitext2-test.txt -c 512 --chunks 4\n"
      "\n"
      "The text is cut into chunks that do not overlap; a token that begins every text of the model replaces the\n"
      "first one of each. Figures compare with those of llama-perplexity with the same -c.");
  return [options] { return RunPerplexity(*options); };
}

Action DefineGolden(CLI::App& app) {
  auto options = std::make_shared<EvalOptions>();
  AddText(app, "--golden", "DIR", "folder with golden.json and the reference logits", options->golden)->required();
  app.add_flag("--json", options->json, "print one JSON object");
  AddModelFlag(app, options->engine.model);
  AddThreadsFlag(app, options->engine.threads);
  AddPrecisionFlags(app, options->engine);
  app.footer("Examples:\n  kvasir eval golden -m smollm2 --golden ../shared/data/golden/smollm2-135m --compute exact");
  return [options] { return RunGolden(*options); };
}

Action DefineDivergence(CLI::App& app) {
  auto options = std::make_shared<EvalOptions>();
  AddTextFlags(app, *options);
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
      {"golden", "Measures", "distance from logits that another program computed", DefineGolden},
  });
  app.footer(
      "Examples:\n"
      "  kvasir eval ppl -m smollm2 -f wikitext2-test.txt --chunks 4\n"
      "  kvasir eval kld -m smollm2 -f wikitext2-test.txt --chunks 4 --compute fast\n"
      "\n"
      "Each measure explains itself: kvasir eval ppl --help");
  return DefineCommands(app, kCommands);
}

}  // namespace kvasir::cli
