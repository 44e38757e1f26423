// Measuring speed, beside the limits of the machine measured in the same run.
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
  int repetitions = 3;
};

struct BenchRow {
  int prompt = 0;
  int generate = 0;
  int depth = 0;
  double tokens_per_second = 0;  ///< median of the repetitions
  double min_tokens_per_second = 0;
  double max_tokens_per_second = 0;
  double read_gb_per_second = 0;  ///< Measured before the row, over as many bytes as its last step reads.
  double percent_of_limit = 0;
  std::string bound;  ///< Which limit binds: "memory", "int8" or "fma".
};

struct BenchReport {
  MachineLimits limits;
  std::vector<BenchRow> rows;
  std::string model;
  std::string isa;
  std::string compute;  ///< The name of the compute mode.
  size_t peak_resident_bytes = 0;
};

/// `on_row` is called as rows are finished.
[[nodiscard]] Result<BenchReport> RunBench(const EngineOptions& options, const BenchPlan& plan,
                                           const std::function<void(const BenchRow&)>& on_row = {});

}  // namespace kvasir
