// PyramidKV (Cai et al., arXiv:2406.02069): SnapKV's scores, and more tokens for lower layers than for upper ones.
//
// The idea: attention is spread widely in the first layers and gathers on few tokens in the last, so a budget is better
// spent below. Beside the window, layer 0 gets the most and the last layer 1/20 of the mean (beta = 20), falling in
// equal steps; the sum over the layers is that of an even division. Where the text has fewer tokens than layer 0 would
// get, the slope becomes flatter.
#include <algorithm>
#include <cmath>

#include "kvcache/evict_snapkv.h"

namespace kvasir::kvcache {
namespace {

constexpr int kBeta = 20;

class PyramidKv final : public SnapKv {
 public:
  [[nodiscard]] std::string_view name() const override { return "pyramidkv"; }
  [[nodiscard]] std::string_view about() const override { return "snapkv with more tokens for lower layers"; }
  [[nodiscard]] int LayerBudget(int budget, int32_t length, int index, int layers) const override {
    const int mean = budget - kWindow;
    if (mean <= 0 || layers < 2) return budget;
    double least = static_cast<double>(mean) / kBeta;
    double most = 2.0 * mean - least;
    if (most > length - kWindow) {
      most = length - kWindow;
      least = 2.0 * mean - most;
    }
    const double step = (most - least) / (layers - 1);
    return kWindow + static_cast<int>(std::lround(most - step * index));
  }
};

}  // namespace

const EvictionPolicy& PyramidKvEviction() {
  static const PyramidKv kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
