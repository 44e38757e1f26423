// The measures of `kvasir eval`, each defined in the file of its name, and what they share.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "cli/calibration_note.h"
#include "cli/command.h"
#include "cli/figures.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "kvasir/eval.h"
#include "plot/scatter.h"

namespace kvasir::cli {

Action DefineEvalKld(CLI::App& app);     // eval_kld_command.cc
Action DefineEvalTokens(CLI::App& app);  // eval_tokens_command.cc
Action DefineEvalRuler(CLI::App& app);   // eval_ruler_command.cc
Action DefineEvalEvict(CLI::App& app);   // eval_evict_command.cc

/// The options of a measure over a text.
struct TextEvalOptions {
  EngineOptions engine;
  EvalText text;
  std::string file;
  bool json = false;
};

/// What AddTextEvalFlags says of measures that leave the first half of each chunk to warm up.
inline constexpr const char* kSecondHalf = "the second half of each is scored";

/// What a text is measured with.
enum class EvalCaches { kOne, kSeveral, kWhole };
/// -m, -t, --compute, --kv, -f, -c, --chunks, --seed and --json. `scored` says which tokens of a chunk count. kSeveral:
/// --kv may be repeated and is told to `caches`; kWhole: a cache that does not evict.
void AddTextEvalFlags(CLI::App& app, TextEvalOptions& options, const std::string& scored,
                      EvalCaches which = EvalCaches::kOne, std::vector<KvSpec>* caches = nullptr);

/// -s/--seed with the default 1. `help` says what it decides.
void AddSeedFlag(CLI::App& app, const std::string& help, uint64_t& seed);

/// Writes NAME_low, NAME_high into `json`; null where there is no interval.
void AddInterval(nlohmann::ordered_json& json, const std::string& name, const std::optional<Interval>& interval);

/// Each end times 100.
[[nodiscard]] std::optional<Interval> InPercent(const std::optional<Interval>& share);

/// " [0.12, 0.34]" with `digits` significant digits, or nothing.
[[nodiscard]] std::string IntervalText(const std::optional<Interval>& interval, int digits = 4);

/// "[12, 34]" for shares of 0.12 and 0.34, or nothing.
[[nodiscard]] std::string PercentRange(const std::optional<Interval>& interval);

/// The fields of a divergence that `eval kld` and `tune` both print.
void AddDivergence(nlohmann::ordered_json& json, const DivergenceReport& report);

/// A point of the frontier: bits against mean KLD.
[[nodiscard]] plot::ScatterPoint KldPoint(const KvSpec& kv, double bits_per_element, const DivergenceReport& report);
inline constexpr const char* kBitsLabel = "bits per element of the cache";
inline constexpr const char* kKldLabel = "mean KL divergence (nats)";

/// The line that says what the brackets are.
[[nodiscard]] std::string IntervalNote(const char* unit);

/// Runs `evaluate(engine options, on_progress)` with a progress line, and says what the cache lacks; Ctrl-C ends it
/// after the `unit` at hand. `value` names the running figure.
template <typename Evaluate>
auto WithProgress(EngineOptions engine, const char* unit, const char* value, const Evaluate& evaluate) {
  NoteMissingCalibration(engine.model, {&engine.kv, 1});
  Progress progress("evaluating");
  engine.on_progress = [&](const LoadProgress& step) {
    progress.Update(step.done_bytes, step.total_bytes, step.phase);
  };
  const Interrupt interrupt;
  return evaluate(engine, [&](int done, int total, double running) {
    progress.Update(static_cast<uint64_t>(done), static_cast<uint64_t>(total),
                    fmt::format("{} {} of {} · {} {}", unit, done, total, value, FormatFigure(running)));
    return !interrupt.raised();
  });
}

}  // namespace kvasir::cli
