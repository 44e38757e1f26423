// kvasir calibrate: learn what errors in the cache cost a model.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/figures.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "kvasir/calibrate.h"

namespace kvasir::cli {
namespace {

constexpr const char* kCalibrateExamples =
    "Examples:\n"
    "  kvasir calibrate -m smollm2 -f book.txt\n"
    "  kvasir run -m smollm2 --kv ch3 -p \"Tell me a story.\"\n"
    "\n"
    "Codecs of few bits (--kv ch4, ch3, ch2 and nuq4, nuq3, nuq2) choose better codes when they know what the model's\n"
    "queries look at. This reads some text, measures that, and keeps it beside the other caches of Kvasir, where the\n"
    "engine finds it from then on. Any text like what the model will read does; a few thousand tokens are enough.\n"
    "With --layers, --kv auto:3.3bits can spend the bits where they matter most.";

constexpr int kMinCalibrateContext = 256;
constexpr int kMaxCalibrateContext = 1 << 20;
constexpr int kMaxChunks = 1 << 20;

struct CalibrateCommandOptions {
  CalibrateOptions calibrate;
  std::string file;
  bool json = false;
};

Result<int> RunCalibrate(const CalibrateCommandOptions& given) {
  CalibrateOptions options = given.calibrate;
  KV_ASSIGN(options.text, ReadTextFile(given.file));
  Progress progress("calibrating");
  options.engine.on_progress = [&](const LoadProgress& step) {
    progress.Update(step.done_bytes, step.total_bytes, step.phase);
  };
  options.on_progress = [&](int done, int total) {
    progress.Update(static_cast<uint64_t>(done), static_cast<uint64_t>(total), "reading text");
  };
  const auto report = Calibrate(options);
  progress.Erase();
  if (!report) return std::unexpected(report.error());
  if (given.json) {
    WriteOut(
        nlohmann::ordered_json{
            {"path", report->path}, {"tokens", report->tokens}, {"bytes", report->bytes}, {"seconds", report->seconds}}
            .dump() +
        "\n");
  } else {
    WriteOut(fmt::format("learnt from {} tokens in {} s: {} ({})\n", report->tokens, FormatFigure(report->seconds),
                         report->path, FormatBytes(report->bytes)));
  }
  return 0;
}

}  // namespace

Action DefineCalibrate(CLI::App& app) {
  auto options = std::make_shared<CalibrateCommandOptions>();
  AddModelFlag(app, options->calibrate.engine.model);
  AddThreadsFlag(app, options->calibrate.engine.threads);
  AddText(app, "-f,--file", "FILE", "the text to learn from; - is standard input", options->file).Required();
  AddCount(app, "-c,--ctx", "tokens of a chunk (default 2048)", options->calibrate.context, kMinCalibrateContext,
           kMaxCalibrateContext);
  AddCount(app, "--chunks", "chunks of the text that are read (default 4)", options->calibrate.chunks, 1, kMaxChunks);
  AddSwitch(app, "--layers", options->calibrate.layers,
            "measure what each layer's bits are worth, too, for --kv auto:3.3bits; takes some minutes more");
  AddText(app, "-o,--output", "FILE", "write here (default: where the engine looks for it)", options->calibrate.output);
  AddSwitch(app, "--json", options->json, "print one JSON object");
  SetFooter(app, kCalibrateExamples);
  return [options] { return RunCalibrate(*options); };
}

}  // namespace kvasir::cli
