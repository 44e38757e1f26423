// A processor computes a prompt no faster than its multiply-add units allow, and generates no faster than its memory
// delivers the weights, because each new token needs all of them once (the roofline model: Williams, Waterman,
// Patterson 2009). Both ceilings are measured on the machine at hand, with the same number of threads and a buffer of
// the same size, so a percentage says how much of this machine is used, whatever else runs on it. `kvasir bench` counts
// attention too; here it is left out, which makes the percentages of long prompts slightly low, never too high.
#include "cli/limits.h"

#include <algorithm>

namespace kvasir::cli {

double MultiplyAdds(const std::vector<TensorEntry>& tensors) {
  double sum = 0;
  for (const TensorEntry& tensor : tensors) {
    if (tensor.shape.size() < 2 || !tensor.name.starts_with("blk.")) continue;
    double elements = 1;
    for (const int64_t extent : tensor.shape) elements *= static_cast<double>(extent);
    sum += elements;
  }
  return sum;
}

double PromptLimit(const MachineLimits& limits, const TokenCost& cost, int tokens) {
  const double peak = cost.exact ? limits.fma_gflops * 1e9 : limits.int8_tops * 1e12;
  const double bandwidth = limits.read_gb_per_second * 1e9;
  if (tokens <= 0 || peak <= 0 || bandwidth <= 0) return 0;
  const double arithmetic = 2 * cost.multiply_adds * tokens / peak;
  const double memory = cost.weight_bytes / bandwidth;
  const double least = std::max(arithmetic, memory);
  return least > 0 ? tokens / least : 0;
}

double DecodeLimit(const MachineLimits& limits, const TokenCost& cost, double kv_bytes) {
  const double bytes = cost.weight_bytes + kv_bytes;
  return bytes > 0 ? limits.read_gb_per_second * 1e9 / bytes : 0;
}

double PercentOf(double rate, double limit) {
  return limit > 0 ? 100 * rate / limit : 0;
}

}  // namespace kvasir::cli
