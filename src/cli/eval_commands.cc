#include "cli/eval_commands.h"

#include <CLI/CLI.hpp>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/model_flags.h"

namespace kvasir::cli {
namespace {

constexpr int kMinContext = 8;
constexpr int kMaxContext = 1 << 24;

}  // namespace

void AddTextEvalFlags(CLI::App& app, TextEvalOptions& options, const std::string& scored) {
  AddText(app, "-f,--file", "FILE", "the text; - is standard input", options.file)->required();
  AddCount(app, "-c,--ctx", fmt::format("tokens of a chunk; {} (default 512)", scored), options.text.context,
           kMinContext, kMaxContext);
  AddCount(app, "--chunks", "use the first N chunks only; 0 uses all (default 0)", options.text.max_chunks, 0);
  AddSeedFlag(app, "seed of the bootstrap's draws", options.text.seed);
  app.add_flag("--json", options.json, "print one JSON object");
  AddModelFlag(app, options.engine.model);
  AddThreadsFlag(app, options.engine.threads);
  AddPrecisionFlags(app, options.engine);
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

std::string IntervalText(const std::optional<Interval>& interval, int digits) {
  return interval ? fmt::format(" [{:.{}g}, {:.{}g}]", interval->low, digits, interval->high, digits) : "";
}

std::string IntervalNote(const char* unit) {
  return fmt::format("[low, high]: 95 % percentile bootstrap over {}, {} resamples\n", unit, kBootstrapResamples);
}

}  // namespace kvasir::cli
