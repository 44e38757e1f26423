// XTC ("exclude top choices"): makes a text less predictable without letting nonsense in. With probability
// `xtc_probability` at each token, all tokens that are at least `xtc_threshold` likely are removed, except the least
// likely of them. If fewer than two are that likely, nothing happens, so one viable token always stays. The definition
// is p-e-w's (oobabooga/text-generation-webui pull request 6335).

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "base/check.h"
#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

class Xtc final : public Stage {
 public:
  Xtc(float probability, float threshold) : probability_(probability), threshold_(threshold) {}

  void Apply(Candidates& candidates, std::span<const int32_t>, const Randomness& randomness) const override {
    if (randomness.Uniform(RandomStream::kXtc) >= double{probability_}) return;
    const float max = candidates.MaxLogit();
    // p >= threshold, as a bar for the logit. A threshold of 0 puts every token above it.
    const double bar = double{max} + std::log(double{threshold_} * candidates.SumWeights(max));
    std::optional<Candidate> least;
    candidates.ForEachAtLeast(bar, [&](const Candidate& candidate) {
      if (!least || MoreLikely(*least, candidate)) least = candidate;
    });
    if (least) candidates.RemoveMoreLikely(*least);
  }

  std::string Describe() const override {
    return fmt::format("xtc(probability {}, threshold {})", probability_, threshold_);
  }
  std::unique_ptr<Stage> Clone() const override { return std::make_unique<Xtc>(*this); }

 private:
  float probability_;
  float threshold_;
};

Status ValidateXtc(const SamplingOptions& options, int) {
  KV_TRY(CheckRange("xtc_probability", options.xtc_probability, 0, 1));
  return CheckRange("xtc_threshold", options.xtc_threshold, 0, 1);
}

Result<std::unique_ptr<Stage>> CreateXtc(const SamplingOptions& options, const StageInputs&) {
  // Two tokens cannot both be more than half of everything.
  if (options.xtc_probability == 0 || options.xtc_threshold > 0.5F) return nullptr;
  return std::make_unique<Xtc>(options.xtc_probability, options.xtc_threshold);
}

}  // namespace

constexpr StageInfo kXtcStage = {"xtc", "", StageKind::kTruncation, ValidateXtc, CreateXtc};

}  // namespace kvasir::sampling
