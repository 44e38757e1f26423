// Top-n-sigma: the logits of a model look like a bell of noise with a few meaningful tokens far above it. Keep the
// tokens within n standard deviations of the greatest logit. The set does not change with the temperature. Source: Tang
// et al., "Top-n-sigma: Not All Logits Are You Need", 2024 (arXiv:2411.07641). The deviation is that of the whole
// population, over the tokens that are still possible.

#include <fmt/format.h>

#include <cmath>

#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

class TopNSigma final : public Stage {
 public:
  explicit TopNSigma(float n) : n_(n) {}

  void Apply(Candidates& candidates, std::span<const int32_t>, const Randomness&) const override {
    const double max = candidates.MaxLogit();
    double count = 0;
    double sum = 0;
    double squares = 0;
    // Around the maximum, not around 0: no cancellation, and no overflow of huge logits in double.
    candidates.ForEach([&](const Candidate& candidate) {
      const double below = max - double{candidate.logit};
      count += 1;
      sum += below;
      squares += below * below;
    });
    if (count == 0) return;
    const double mean = sum / count;
    const double variance = std::max(0.0, squares / count - mean * mean);
    candidates.KeepAtLeast(max - double{n_} * std::sqrt(variance));
  }

  std::string Describe() const override { return fmt::format("top_n_sigma({})", n_); }
  std::unique_ptr<Stage> Clone() const override { return std::make_unique<TopNSigma>(*this); }

 private:
  float n_;
};

Status ValidateTopNSigma(const SamplingOptions& options, int) {
  return CheckRange("top_n_sigma", options.top_n_sigma, 0, 1000);
}

Result<std::unique_ptr<Stage>> CreateTopNSigma(const SamplingOptions& options, const StageInputs&) {
  if (options.top_n_sigma == 0) return nullptr;
  return std::make_unique<TopNSigma>(options.top_n_sigma);
}

}  // namespace

constexpr StageInfo kTopNSigmaStage = {"top_n_sigma", "", StageKind::kTruncation, ValidateTopNSigma, CreateTopNSigma};

}  // namespace kvasir::sampling
