// The options that every command with a model has.
#pragma once

#include <string>
#include <vector>

#include "cli/flags.h"
#include "kvasir/options.h"

namespace kvasir::cli {

/// -m/--model, required.
Flag AddModelFlag(CLI::App& app, std::string& model);

/// -t/--threads.
Flag AddThreadsFlag(CLI::App& app, int& threads);

/// --compute.
void AddComputeFlag(CLI::App& app, ComputeMode& compute);

/// --kv, once for each of `caches`, and --kv-budget, which all of them then need a policy for. `help` says what the
/// caches are for.
void AddCachesFlag(CLI::App& app, const std::string& help, std::vector<KvSpec>& caches);

/// --compute, --kv and --kv-budget.
void AddPrecisionFlags(CLI::App& app, EngineOptions& options);
/// --compute and --kv alone, for a cache that does not evict.
void AddStorageFlags(CLI::App& app, EngineOptions& options);

/// -c/--ctx. `help` says what the context means for the command.
Flag AddContextFlag(CLI::App& app, int& context, int low, const std::string& help);

/// --no-receipt: what WithReceipt (receipt_use.h) is told.
void AddReceiptFlag(CLI::App& app, bool& no_receipt);

/// -m, -t, -c, --compute, --kv and --no-receipt.
void AddEngineFlags(CLI::App& app, EngineOptions& options, bool& no_receipt);

}  // namespace kvasir::cli
