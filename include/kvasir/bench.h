/// @file
/// Measuring speed, beside the limits of the machine measured in the same run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kvasir/inspect.h"
#include "kvasir/options.h"
#include "kvasir/result.h"

namespace kvasir {

/// What to measure: every prompt length and every generation length, each at every depth.
struct BenchPlan {
  std::vector<int> prompts = {512};    ///< Tokens computed in one go; an empty list or 0 measures none.
  std::vector<int> generates = {128};  ///< Tokens generated one by one.
  std::vector<int> depths = {0};       ///< Tokens already in the cache.
  int repetitions = 3;                 ///< Of each row, at least 1.
};

/// One measurement: either a prompt or a generation, behind `depth` tokens.
struct BenchRow {
  int prompt = 0;                    ///< Tokens of the prompt; 0 where the row is a generation.
  int generate = 0;                  ///< Tokens generated; 0 where the row is a prompt.
  int depth = 0;                     ///< Tokens in the cache before it; filling it is not timed.
  double tokens_per_second = 0;      ///< Median of the repetitions.
  double min_tokens_per_second = 0;  ///< The slowest repetition.
  double max_tokens_per_second = 0;  ///< The fastest.
  double read_gb_per_second = 0;     ///< Measured before the row, over as many bytes as its last step reads.
  /// 100 * (the least time at the rates that were measured) / (the median time).
  double percent_of_limit = 0;
  std::string bound;  ///< Which limit binds: "memory", "int8" or "fma".
};

/// All rows, and what they were measured on.
struct BenchReport {
  MachineLimits limits;            ///< Measured before the rows, over as many bytes as one token reads of the weights.
  std::vector<BenchRow> rows;      ///< Depth by depth, of each the prompts, then the generations.
  std::string model;               ///< ModelInfo::name.
  std::string isa;                 ///< Engine::isa().
  std::string compute;             ///< The name of the compute mode.
  size_t peak_resident_bytes = 0;  ///< Of the whole process, without what measuring the limits took.
};

/// Loads the model and measures the plan with arbitrary tokens. `on_row` is called on the caller's thread as rows are
/// finished. Errors: those of Engine::Load; kInvalidArgument for a negative number of tokens, no repetitions, or a row
/// that is longer than the context.
[[nodiscard]] Result<BenchReport> RunBench(const EngineOptions& options, const BenchPlan& plan,
                                           const std::function<void(const BenchRow&)>& on_row = {});

}  // namespace kvasir
