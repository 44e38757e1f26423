#include "cli/model_flags.h"

#include <fmt/format.h>

#include "base/check.h"

namespace kvasir::cli {
namespace {

constexpr const char* kGroup = "Model";
constexpr int kMaxThreads = 1024;
constexpr int kMaxContext = 1 << 24;

Result<KvSpec> ParseCache(std::string_view text) {
  auto spec = ParseKvSpec(text);
  if (spec) return spec;
  return Fail(spec.error().code, fmt::format("is '{}': {}", text, spec.error().message));
}

}  // namespace

Flag AddModelFlag(CLI::App& app, std::string& model) {
  const Setter set = [&model](std::string_view text) -> Status {
    if (text.empty()) return Fail(ErrorCode::kInvalidArgument, "is empty, but it must be a file or an installed name");
    model = text;
    return {};
  };
  return AddValue(app, "-m,--model", "MODEL", "GGUF file, or the name of an installed model", set)
      .Required()
      .Group(kGroup);
}

Flag AddThreadsFlag(CLI::App& app, int& threads) {
  return AddCount(app, "-t,--threads", "CPU threads; 0 takes one per CPU (default 0)", threads, 0, kMaxThreads)
      .Group(kGroup)
      .Environment("KVASIR_THREADS");
}

void AddComputeFlag(CLI::App& app, ComputeMode& compute) {
  AddChoice(
      app, "--compute", {"fast", "balanced", "precise", "exact"},
      "precision of the arithmetic: from 8-bit activations to plain f32 (default balanced: 8 bits, and 15 where it "
      "buys most)",
      [&compute](std::string_view name) { compute = ParseComputeMode(name).value(); })
      .Group(kGroup);
}

void AddCachesFlag(CLI::App& app, const std::string& help, std::vector<KvSpec>& caches) {
  const Setter add = [&caches](std::string_view text) -> Status {
    KV_ASSIGN(KvSpec spec, ParseCache(text));
    caches.push_back(std::move(spec));
    return {};
  };
  AddValue(app, "--kv", "SPEC", help, add, /*repeat=*/true).Group(kGroup);
}

void AddPrecisionFlags(CLI::App& app, EngineOptions& options) {
  AddComputeFlag(app, options.compute);
  const Setter set_kv = [&options](std::string_view text) -> Status {
    KV_ASSIGN(options.kv, ParseCache(text));
    return {};
  };
  AddValue(app, "--kv", "SPEC",
           "how keys and values are stored: f16, q8 (half the memory, and faster in long contexts), ch4, auto:3.5bits, "
           "k=ch4,v=ch3; with evict=snapkv,budget=50% tokens are forgotten (default auto: f16, or f32 with --compute "
           "exact)",
           set_kv)
      .Group(kGroup);
}

void AddReceiptFlag(CLI::App& app, bool& no_receipt) {
  AddSwitch(app, "--no-receipt", no_receipt, "without --kv, do not look for the cache that kvasir tune has chosen")
      .Group(kGroup);
}

Flag AddContextFlag(CLI::App& app, int& context, int low, const std::string& help) {
  return AddCount(app, "-c,--ctx", help, context, low, kMaxContext).Group(kGroup);
}

void AddEngineFlags(CLI::App& app, EngineOptions& options, bool& no_receipt) {
  AddModelFlag(app, options.model);
  AddThreadsFlag(app, options.threads);
  AddContextFlag(app, options.context_tokens, 0,
                 "tokens that fit the context; 0 is what the model was trained for (default 0)");
  AddPrecisionFlags(app, options);
  AddReceiptFlag(app, no_receipt);
  AddSwitch(app, "--packed-cache", options.packed_cache,
            "keep the packed weights in a file, as large as the model, and start from it the next time")
      .Group(kGroup);
}

}  // namespace kvasir::cli
