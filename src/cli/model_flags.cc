#include "cli/model_flags.h"

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <utility>

#include "base/check.h"

namespace kvasir::cli {
namespace {

constexpr const char* kGroup = "Model";
constexpr int kMaxThreads = 1024;
constexpr int kMaxContext = 1 << 24;

// `budget`: what --kv-budget says, or nothing.
Result<KvSpec> ParseCache(std::string_view text, std::string_view budget) {
  auto spec = ParseKvSpec(text, budget);
  if (spec) return spec;
  return Fail(spec.error().code, fmt::format("is '{}': {}", text, spec.error().message));
}

// --kv-budget, and what it was given. CLI11 reads options in the order in which they are added: this one has to be
// there before the --kv whose setter reads it.
struct BudgetFlag {
  Flag flag;
  std::shared_ptr<std::string> text = std::make_shared<std::string>();
};

BudgetFlag AddBudgetFlag(CLI::App& app) {
  auto text = std::make_shared<std::string>();
  const Setter set = [text](std::string_view given) -> Status {
    KV_TRY(CheckKvBudget(given));
    *text = given;
    return {};
  };
  const Flag flag =
      AddValue(
          app, "--kv-budget", "N",
          "with --kv ...,evict=POLICY: what it keeps, whatever budget= says there; 4096 tokens per layer and head, "
          "50% of the prompt, or 64M, bytes of a request",
          set)
          .Group(kGroup);
  return {flag, text};
}

Flag AddKvFlag(CLI::App& app, EngineOptions& options, const std::function<std::string()>& budget) {
  const Setter set = [&options, budget](std::string_view given) -> Status {
    KV_ASSIGN(options.kv, ParseCache(given, budget()));
    return {};
  };
  return AddValue(app, "--kv", "SPEC",
                  "how keys and values are stored: f16, q8 (half the memory, and faster in long contexts), ch4, "
                  "auto:3.5bits, k=ch4,v=ch3; with evict=snapkv,budget=50% tokens are forgotten (default auto: f16, or "
                  "f32 with --compute exact)",
                  set)
      .Group(kGroup);
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
  const BudgetFlag budget = AddBudgetFlag(app);
  const Setter add = [&caches, text = budget.text](std::string_view given) -> Status {
    KV_ASSIGN(KvSpec spec, ParseCache(given, *text));
    caches.push_back(std::move(spec));
    return {};
  };
  budget.flag.Needs(AddValue(app, "--kv", "SPEC", help, add, /*repeat=*/true).Group(kGroup));
}

void AddPrecisionFlags(CLI::App& app, EngineOptions& options) {
  AddComputeFlag(app, options.compute);
  const BudgetFlag budget = AddBudgetFlag(app);
  budget.flag.Needs(AddKvFlag(app, options, [text = budget.text] { return *text; }));
}

void AddStorageFlags(CLI::App& app, EngineOptions& options) {
  AddComputeFlag(app, options.compute);
  AddKvFlag(app, options, [] { return std::string(); });
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
