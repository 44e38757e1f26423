// kvasir inspect: a model file and this machine, before anything is loaded.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/flags.h"
#include "cli/inspect_report.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/receipt_use.h"

namespace kvasir::cli {
namespace {

constexpr const char* kInspectExamples =
    "Examples:\n"
    "  kvasir inspect smollm2\n"
    "  kvasir inspect smollm2 -c 2048 --kv ch4\n"
    "  kvasir inspect smollm2 --json | jq .plan.total_bytes\n"
    "  kvasir inspect --cpu";

constexpr double kLimitsSeconds = 1.0;
constexpr size_t kMeasureBytes = size_t{128} << 20;

struct InspectOptions {
  EngineOptions engine;
  InspectDetail detail;
  bool no_receipt = false;
  bool cpu = false;
  bool json = false;
};

Result<int> RunInspect(const InspectOptions& options) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!options.engine.model.empty()) {
    const ReceiptUse use = UseReceipt(options.engine, options.no_receipt);
    KV_ASSIGN(const ModelSummary summary, InspectModel(use.engine));
    if (options.json) {
      json = SummaryJson(summary, options.detail);
      json["receipt"] = nullptr;
      if (use.file) json["receipt"] = {{"path", use.file->path}, {"kv", KvSpecText(use.file->receipt.kv)}};
    } else {
      WriteOut(SummaryText(summary, options.detail));
      if (use.file) WriteOut(fmt::format("\nThis is with the {}.\n", ReceiptLine(*use.file)));
    }
  }
  if (options.cpu) {
    const CpuReport cpu = InspectCpu();
    const int threads = options.engine.threads > 0 ? options.engine.threads : cpu.cpus;
    const MachineLimits limits = MeasureLimits(threads, kMeasureBytes, kLimitsSeconds);
    if (options.json) {
      json["cpu"] = CpuJson(cpu);
      json["limits"] = LimitsJson(limits);
    } else {
      WriteOut(CpuText(cpu, limits));
    }
  }
  // The strings of a model file may hold anything.
  if (options.json) {
    WriteOut(json.dump(2, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  }
  return 0;
}

}  // namespace

Action DefineInspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  AddText(app, "model", "MODEL", "GGUF file, an encoder's folder, or the name of an installed model",
          options->engine.model);
  AddSwitch(app, "--cpu", options->cpu, "what this processor can do: instruction sets, and limits measured now");
  AddSwitch(app, "--metadata", options->detail.metadata, "list all metadata");
  AddSwitch(app, "--tensors", options->detail.tensors, "list all tensors");
  AddSwitch(app, "--json", options->json, "print one JSON object, with metadata and tensors");
  AddThreadsFlag(app, options->engine.threads);
  AddContextFlag(app, options->engine.context_tokens, 0,
                 "plan the memory for a context of N tokens (default: the model's own)");
  AddPrecisionFlags(app, options->engine);
  AddReceiptFlag(app, options->no_receipt);
  SetFooter(app, kInspectExamples);
  return [&app, options]() -> Result<int> {
    if (options->engine.model.empty() && !options->cpu)
      return UsageError(app, "there is nothing to inspect: name a MODEL, or give --cpu");
    return RunInspect(*options);
  };
}

}  // namespace kvasir::cli
