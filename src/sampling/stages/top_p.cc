// Top-p, or nucleus sampling: keep the smallest set of most likely tokens whose probabilities add up to at least p; the
// token that crosses p belongs to it. Source: Holtzman, Buys, Du, Forbes, Choi, "The Curious Case of Neural Text
// Degeneration", ICLR 2020 (arXiv:1904.09751).
//
// The definition sorts the whole vocabulary. Two exact shortcuts avoid that. Tokens less likely than (1 - p) / count
// make up less than 1 - p together, so the nucleus is complete without them: one threshold scan removes them. And the
// rest is sorted only as far as the sum is followed.

#include <fmt/format.h>

#include <cmath>

#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

class TopP final : public Stage {
 public:
  explicit TopP(float p) : p_(p) {}

  void Apply(Candidates& candidates, std::span<const int32_t>, const Randomness&) const override {
    const float max = candidates.MaxLogit();
    const double total = candidates.SumWeights(max);
    if (total == 0) return;
    const double count = static_cast<double>(candidates.CountPossible());
    // Half of the bound leaves room for rounding. At most the weight 1 of the greatest logit, so that it stays.
    const double negligible = std::min(1.0, 0.5 * total * (1.0 - double{p_}) / count);
    candidates.KeepAtLeast(double{max} + std::log(negligible));

    std::vector<Candidate>& list = candidates.List();
    IncrementalSorter sorter(std::span<Candidate>(list), MoreLikely);
    double reached = 0;
    size_t kept = 0;
    while (kept < list.size()) {
      reached += Weight(sorter.At(kept).logit, max);
      ++kept;
      if (reached >= double{p_} * total) break;
    }
    list.resize(kept);
  }

  std::string Describe() const override { return fmt::format("top_p({})", p_); }
  std::unique_ptr<Stage> Clone() const override { return std::make_unique<TopP>(*this); }

 private:
  float p_;
};

Status ValidateTopP(const SamplingOptions& options, int) {
  return CheckRange("top_p", options.top_p, 0, 1);
}

Result<std::unique_ptr<Stage>> CreateTopP(const SamplingOptions& options, const StageInputs&) {
  if (options.top_p == 1) return nullptr;
  return std::make_unique<TopP>(options.top_p);
}

}  // namespace

constexpr StageInfo kTopPStage = {"top_p", "nucleus", StageKind::kTruncation, ValidateTopP, CreateTopP};

}  // namespace kvasir::sampling
