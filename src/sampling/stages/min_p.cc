// Min-p: keep the tokens at least `min_p` times as likely as the most likely one. The bar rises when the model is
// sure and falls when it is not. Source: Nguyen et al., "Turning Up the Heat: Min-p Sampling for Creative and Coherent
// LLM Outputs", ICLR 2025 (arXiv:2407.01082). p_i >= min_p * p_max is logit_i >= logit_max + ln(min_p): no
// exponential, no sum, no sort.

#include <fmt/format.h>

#include <cmath>

#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

class MinP final : public Stage {
 public:
  explicit MinP(float p) : p_(p) {}

  void Apply(Candidates& candidates, std::span<const int32_t>, const Randomness&) const override {
    candidates.KeepAtLeast(double{candidates.MaxLogit()} + std::log(double{p_}));
  }

  std::string Describe() const override { return fmt::format("min_p({})", p_); }
  std::unique_ptr<Stage> Clone() const override { return std::make_unique<MinP>(*this); }

 private:
  float p_;
};

Status ValidateMinP(const SamplingOptions& options, int) {
  return CheckRange("min_p", options.min_p, 0, 1);
}

Result<std::unique_ptr<Stage>> CreateMinP(const SamplingOptions& options, const StageInputs&) {
  if (options.min_p == 0) return nullptr;
  return std::make_unique<MinP>(options.min_p);
}

}  // namespace

constexpr StageInfo kMinPStage = {"min_p", "", StageKind::kTruncation, ValidateMinP, CreateMinP};

}  // namespace kvasir::sampling
