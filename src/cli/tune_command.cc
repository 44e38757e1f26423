// kvasir tune: measure what caches cost, choose one, and leave a receipt that later starts read.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "cli/calibration_note.h"
#include "cli/command_list.h"
#include "cli/eval_commands.h"
#include "cli/figures.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/plot_file.h"
#include "cli/terminal.h"
#include "cli/tune_report.h"
#include "kvasir/calibrate.h"
#include "server/settings.h"

namespace kvasir::cli {
namespace {

constexpr const char* kTuneExamples =
    "Examples:\n"
    "  kvasir tune -m smollm2 --text book.txt --context 2048 --max-kld 0.005\n"
    "  kvasir tune -m smollm2 --text book.txt --context 8192 --kv-bytes 64M --plot frontier.svg\n"
    "  kvasir tune -m smollm2 --text book.txt --max-kld 0.01 --calibrate other-book.txt\n"
    "\n"
    "Tries f16, q8, the codecs of 5 to 2 bits, keys and values apart, and, where the model was calibrated with\n"
    "--layers, bits by layer; or what --kv names. Each is compared with exact mode on the same chunks of text. After "
    "2,\n"
    "4, 8, ... chunks those that are surely out of the question, or surely worse than another in bytes, loss and\n"
    "speed, are left. Of the rest the speed of decoding behind the context is measured, in turns. What is chosen is\n"
    "kept in a receipt beside the model (or in ~/.cache/kvasir/receipts), which kvasir run, chat, serve, bench and\n"
    "inspect read where no --kv is given.";

constexpr int kMinContext = 256;
constexpr int kMaxContext = 1 << 24;
constexpr int kUsualContext = 2048;
constexpr int kUsualChunks = 8;
constexpr int kCalibrationContext = 2048;
constexpr int kCalibrationChunks = 4;

struct TuneCommandOptions {
  TuneOptions tune;
  std::string file;
  std::string calibrate;
  std::vector<std::string> evict;
  std::vector<KvSpec> evicting;  // what these mean
  std::string output;
  std::string plot;
  bool no_receipt = false;
  bool json = false;
};

// A word as a shell has to be given it.
std::string Word(const std::string& text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,%+-@";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

// A call that measures the same again.
std::string CommandOf(const TuneCommandOptions& options) {
  const TuneOptions& tune = options.tune;
  std::string command =
      fmt::format("kvasir tune -m {} --text {} --context {} --chunks {} --seed {}", Word(tune.engine.model),
                  Word(options.file), tune.text.context, tune.text.max_chunks, tune.text.seed);
  if (tune.goal.max_kld) command += fmt::format(" --max-kld {}", *tune.goal.max_kld);
  if (tune.goal.kv_bytes) command += fmt::format(" --kv-bytes {}", server::FormatBytes(*tune.goal.kv_bytes));
  for (const KvSpec& kv : tune.caches) command += fmt::format(" --kv {}", Word(KvSpecText(kv)));
  for (const std::string& policy : options.evict) command += fmt::format(" --evict {}", policy);
  if (!options.calibrate.empty()) command += fmt::format(" --calibrate {}", Word(options.calibrate));
  if (tune.engine.threads > 0) command += fmt::format(" --threads {}", tune.engine.threads);
  return command + fmt::format(" --compute {}", ComputeModeName(tune.engine.compute));
}

Status CalibrateFirst(const TuneCommandOptions& options) {
  CalibrateOptions calibrate{.engine = options.tune.engine,
                             .context = std::min(kCalibrationContext, std::max(options.tune.text.context, kMinContext)),
                             .chunks = kCalibrationChunks,
                             .layers = true};
  KV_ASSIGN(calibrate.text, ReadTextFile(options.calibrate));
  Progress progress("calibrating");
  calibrate.on_progress = [&](int done, int total) {
    progress.Update(static_cast<uint64_t>(done), static_cast<uint64_t>(total), "reading text");
  };
  KV_ASSIGN(const CalibrateReport report, Calibrate(calibrate));
  progress.Erase();
  WriteNote(fmt::format("Calibrated on {} tokens in {} s.\n", report.tokens, FormatFigure(report.seconds)));
  return {};
}

// The caches to try where none are named: those that the model can have with what is known of it.
Result<std::vector<KvSpec>> CandidatesFor(const TuneCommandOptions& options) {
  KV_ASSIGN(const auto calibration, FindCalibration(options.tune.engine.model));
  if (!calibration) {
    WriteNote(
        "There is no calibration of this model: codecs round plainly, and bits by layer are not tried.\n"
        "--calibrate TEXT makes one first.\n");
  } else if (!calibration->layers) {
    WriteNote(
        "The calibration of this model does not know its layers: bits by layer are not tried.\n"
        "--calibrate TEXT makes one that does.\n");
  }
  EngineOptions engine = options.tune.engine;
  engine.context_tokens = options.tune.text.context;
  std::vector<KvSpec> candidates = TuneCandidates(calibration && calibration->layers);
  if (InspectCaches(engine, candidates)) return candidates;  // one by one each would read the whole model
  std::vector<KvSpec> possible;
  Status last = {};
  for (const KvSpec& kv : candidates) {
    if (const auto size = InspectCaches(engine, {&kv, 1}); size) {
      possible.push_back(kv);
    } else {
      last = std::unexpected(size.error());
    }
  }
  if (possible.empty()) return std::unexpected(last.error());
  return possible;
}

Result<TuneReport> Measure(const TuneOptions& given) {
  Progress progress("tuning");
  TuneOptions options = given;
  options.engine.on_progress = [&](const LoadProgress& step) {
    progress.Update(step.done_bytes, step.total_bytes, step.phase);
  };
  const Interrupt interrupt;
  return Tune(options, {.on_cost =
                            [&](const TuneCost& cost) {
                              progress.Erase();
                              WriteNote(Quiet(CostText(cost)));
                            },
                        .on_step =
                            [&](const TuneStep& step) {
                              progress.Update(static_cast<uint64_t>(1000 * step.share), 1000, step.what);
                              return !interrupt.raised();
                            }});
}

Result<std::string> KeepReceipt(const TuneCommandOptions& options, const TuneReport& report,
                                const std::string& version) {
  Receipt receipt = ReceiptOf(report);
  receipt.command = CommandOf(options);
  receipt.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                             fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
  receipt.version = version;
  receipt.cpu = InspectCpu().model_name;
  return WriteReceipt(options.tune.engine.model, std::move(receipt), options.output);
}

std::string UseText(const TuneCommandOptions& options, const KvSpec& kv, const std::string& receipt) {
  std::string text =
      fmt::format("\n  kvasir run -m {} --kv {}\n", Word(options.tune.engine.model), Word(KvSpecText(kv)));
  if (receipt.empty()) return text;
  text += fmt::format("\nReceipt: {}\n", receipt);
  if (!options.output.empty()) return text;
  return text + "kvasir run, chat, serve, bench and inspect read it where no --kv is given.\n";
}

Result<int> RunTune(TuneCommandOptions options, const std::string& version) {
  KV_TRY(CheckPlotFolder(options.plot));
  KV_ASSIGN(options.tune.text.text, ReadTextFile(options.file));
  if (!options.calibrate.empty()) KV_TRY(CalibrateFirst(options));
  TuneOptions tune = options.tune;
  NoteMissingCalibration(tune.engine.model, tune.caches);
  if (tune.caches.empty()) {
    KV_ASSIGN(tune.caches, CandidatesFor(options));
  }
  tune.caches.insert(tune.caches.end(), options.evicting.begin(), options.evicting.end());
  KV_ASSIGN(const TuneReport report, Measure(tune));
  std::string receipt;
  Status kept;  // a receipt that cannot be written does not cost what was measured
  if (report.chosen && !options.no_receipt) {
    Result<std::string> path = KeepReceipt(options, report, version);
    if (path) {
      receipt = *std::move(path);
    } else {
      kept = std::unexpected(path.error());
    }
  }
  if (options.json) {
    nlohmann::ordered_json json = TuneJson(report, options.tune.goal);
    json["receipt"] = receipt.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(receipt);
    WriteOut(json.dump(2) + "\n");
  } else {
    WriteOut(TuneTable(report));
    if (report.chosen) {
      WriteOut(ChoiceText(report, options.tune.goal) + UseText(options, report.rows[*report.chosen].size.kv, receipt));
    }
  }
  KV_TRY(WritePlot(options.plot, TuneChart(report)));
  KV_TRY(kept);
  if (report.interrupted) return kExitInterrupted;
  if (!report.chosen) return Fail(ErrorCode::kResourceExhausted, NoChoiceText(report, options.tune.goal));
  return 0;
}

void AddGoalFlags(CLI::App& app, TuneGoal& goal) {
  const Setter set_kld = [&goal](std::string_view text) -> Status {
    KV_ASSIGN(const double value, ParseReal(text));
    if (value <= 0) return Fail(ErrorCode::kInvalidArgument, fmt::format("is '{}', but it must be above 0", text));
    goal.max_kld = value;
    return {};
  };
  const Setter set_bytes = [&goal](std::string_view text) -> Status {
    KV_ASSIGN(goal.kv_bytes, server::ParseBytes(text));
    return {};
  };
  const Flag kld = AddValue(app, "--max-kld", "X",
                            "choose the fewest bytes whose mean KLD is at most X nats, at the "
                            "upper end of its interval",
                            set_kld);
  AddValue(app, "--kv-bytes", "SIZE", "choose the lowest KLD of those that hold the context in SIZE, such as 4G",
           set_bytes)
      .Excludes(kld);
}

}  // namespace

Action DefineTune(CLI::App& app) {
  auto options = std::make_shared<TuneCommandOptions>();
  TuneOptions& tune = options->tune;
  tune.text.context = kUsualContext;
  tune.text.max_chunks = kUsualChunks;
  AddText(app, "-f,--file,--text", "FILE", "a text like what the model will read; - is standard input", options->file)
      .Required();
  AddCount(app, "-c,--ctx,--context",
           fmt::format("tokens of a chunk: the context that is tuned for (default {})", kUsualContext),
           tune.text.context, kMinContext, kMaxContext);
  AddCount(app, "--chunks", fmt::format("use the first N chunks at most; 0 uses all (default {})", kUsualChunks),
           tune.text.max_chunks, 0);
  AddSeedFlag(app, "seed of the bootstrap's draws", tune.text.seed);
  AddGoalFlags(app, tune.goal);
  const Setter add_evicting = [options](std::string_view text) -> Status {
    auto caches = EvictingCandidates(std::string(text));
    if (!caches) return Fail(caches.error().code, fmt::format("is '{}': {}", text, caches.error().message));
    options->evict.emplace_back(text);
    options->evicting.insert(options->evicting.end(), caches->begin(), caches->end());
    return {};
  };
  AddValue(app, "--evict", "POLICY",
           "try q8 and ch4 with this eviction policy, too, keeping half and a quarter of the tokens; may be repeated",
           add_evicting, /*repeat=*/true);
  AddText(app, "--calibrate", "FILE", "calibrate the model with this text first, with --layers: some minutes",
          options->calibrate);
  AddText(app, "-o,--output", "FILE", "write the receipt here (default: where run and serve look for it)",
          options->output);
  AddSwitch(app, "--no-receipt", options->no_receipt, "write no receipt");
  AddPlotFlag(app, "bits per element against mean KLD and against speed", options->plot);
  AddSwitch(app, "--json", options->json, "print one JSON object");
  AddModelFlag(app, tune.engine.model);
  AddThreadsFlag(app, tune.engine.threads);
  AddComputeFlag(app, tune.engine.compute);
  AddCachesFlag(app, "try this cache in place of the usual ones; may be repeated", tune.caches);
  SetFooter(app, kTuneExamples);
  return [&app, options]() -> Result<int> {
    if (!options->tune.goal.max_kld && !options->tune.goal.kv_bytes) {
      return UsageError(app, "what is the cache to satisfy? give --max-kld X or --kv-bytes SIZE");
    }
    if (options->tune.text.max_chunks == 1) {
      return UsageError(app, "--chunks is '1', but it must be 0 or at least 2: one chunk has no interval");
    }
    return RunTune(*options, KVASIR_VERSION);
  };
}

}  // namespace kvasir::cli
