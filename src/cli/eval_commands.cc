#include "cli/eval_commands.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/model_flags.h"

namespace kvasir::cli {
namespace {

constexpr int kMinTextContext = 8;
constexpr int kMaxTextContext = 1 << 24;

}  // namespace

void AddTextEvalFlags(CLI::App& app, TextEvalOptions& options, const std::string& scored, EvalCaches which,
                      std::vector<KvSpec>* caches) {
  AddText(app, "-f,--file", "FILE", "the text; - is standard input", options.file).Required();
  AddCount(app, "-c,--ctx", fmt::format("tokens of a chunk; {} (default 512)", scored), options.text.context,
           kMinTextContext, kMaxTextContext);
  AddCount(app, "--chunks", "use the first N chunks only; 0 uses all (default 0)", options.text.max_chunks, 0);
  AddSeedFlag(app, "seed of the bootstrap's draws", options.text.seed);
  AddSwitch(app, "--json", options.json, "print one JSON object");
  AddModelFlag(app, options.engine.model);
  AddThreadsFlag(app, options.engine.threads);
  if (which == EvalCaches::kWhole) return AddStorageFlags(app, options.engine);
  if (which == EvalCaches::kOne) return AddPrecisionFlags(app, options.engine);
  AddComputeFlag(app, options.engine.compute);
  AddCachesFlag(
      app,
      "how keys and values are stored: f16, q8, ch4, auto:3.5bits, k=ch4,v=ch3, ... (default auto: f16, or f32 "
      "with --compute exact); may be repeated, to compare caches over one pass of exact mode",
      *caches);
}

void AddSeedFlag(CLI::App& app, const std::string& help, uint64_t& seed) {
  AddValue(app, "-s,--seed", "N", help + " (default 1)", [&seed](std::string_view text) -> Status {
    KV_ASSIGN(const int64_t value, ParseCount(text, 0, std::numeric_limits<int64_t>::max()));
    seed = static_cast<uint64_t>(value);
    return {};
  });
}

void AddInterval(nlohmann::ordered_json& json, const std::string& name, const std::optional<Interval>& interval) {
  json[name + "_low"] = interval ? nlohmann::ordered_json(interval->low) : nullptr;
  json[name + "_high"] = interval ? nlohmann::ordered_json(interval->high) : nullptr;
}

std::optional<Interval> InPercent(const std::optional<Interval>& share) {
  if (!share) return std::nullopt;
  return Interval{.low = 100 * share->low, .high = 100 * share->high};
}

void AddDivergence(nlohmann::ordered_json& json, const DivergenceReport& report) {
  json.update({{"mean_kld", report.mean_kld},
               {"median_kld", report.median_kld},
               {"p99_kld", report.p99_kld},
               {"max_kld", report.max_kld},
               {"same_top", report.same_top},
               {"ppl", report.perplexity},
               {"exact_ppl", report.exact_perplexity},
               {"ppl_ratio", report.perplexity_ratio},
               {"tokens", report.tokens},
               {"chunks", report.chunks}});
}

plot::ScatterPoint KldPoint(const KvSpec& kv, double bits_per_element, const DivergenceReport& report) {
  plot::ScatterPoint point{.label = KvSpecText(kv), .x = bits_per_element, .y = report.mean_kld, .range = {}};
  if (report.mean_kld_interval) point.range = {report.mean_kld_interval->low, report.mean_kld_interval->high};
  return point;
}

std::string IntervalText(const std::optional<Interval>& interval, int digits) {
  return interval ? fmt::format(" [{:.{}g}, {:.{}g}]", interval->low, digits, interval->high, digits) : "";
}

std::string PercentRange(const std::optional<Interval>& interval) {
  return interval ? fmt::format("[{:.0f}, {:.0f}]", 100 * interval->low, 100 * interval->high) : "";
}

std::string IntervalNote(const char* unit) {
  return fmt::format("[low, high]: 95 % percentile bootstrap over {}, {} resamples\n", unit, kBootstrapResamples);
}

}  // namespace kvasir::cli
