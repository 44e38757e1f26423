// Locally typical sampling: people choose words that carry about the expected information, neither the obvious one nor
// the odd one. With H the entropy of the distribution, sort the tokens by | -ln p - H | and keep the fewest whose
// probabilities reach `typical_p`. The most likely token may go. Source: Meister, Pimentel, Wiher, Cotterell, "Locally
// Typical Sampling", TACL 2023 (arXiv:2202.00666).

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

struct Scored {
  double distance = 0;  // between the surprise of the token and the entropy, in nats
  double weight = 0;
  Candidate candidate;
};

bool MoreTypical(const Scored& a, const Scored& b) {
  return a.distance < b.distance || (a.distance == b.distance && MoreLikely(a.candidate, b.candidate));
}

class TypicalP final : public Stage {
 public:
  explicit TypicalP(float p) : p_(p) {}

  void Apply(Candidates& candidates, std::span<const int32_t>, const Randomness&) const override {
    const float max = candidates.MaxLogit();
    std::vector<Candidate>& list = candidates.List();
    std::vector<Scored> scored;
    scored.reserve(list.size());
    double total = 0;
    double moment = 0;  // the sum of weight * (max - logit)
    for (const Candidate& candidate : list) {
      const double below = double{max} - double{candidate.logit};
      const double weight = ExpOfNegative(-below);
      scored.push_back({below, weight, candidate});
      total += weight;
      if (weight > 0) moment += weight * below;
    }
    // The surprise of a token is below + ln(total), the entropy moment / total + ln(total): ln(total) cancels out.
    const double mean_below = moment / total;
    for (Scored& item : scored) {
      item.distance = std::abs(item.distance - mean_below);
    }
    list.clear();
    IncrementalSorter sorter(std::span<Scored>(scored), MoreTypical);
    double reached = 0;
    for (size_t i = 0; i < scored.size(); ++i) {
      const Scored& item = sorter.At(i);
      list.push_back(item.candidate);
      reached += item.weight;
      if (reached >= double{p_} * total) break;
    }
  }

  std::string Describe() const override { return fmt::format("typical_p({})", p_); }
  std::unique_ptr<Stage> Clone() const override { return std::make_unique<TypicalP>(*this); }

 private:
  float p_;
};

Status ValidateTypicalP(const SamplingOptions& options, int) {
  return CheckRange("typical_p", options.typical_p, 0, 1);
}

Result<std::unique_ptr<Stage>> CreateTypicalP(const SamplingOptions& options, const StageInputs&) {
  if (options.typical_p == 1) return nullptr;
  return std::make_unique<TypicalP>(options.typical_p);
}

}  // namespace

constexpr StageInfo kTypicalPStage = {"typical_p", "typ_p", StageKind::kTruncation, ValidateTypicalP, CreateTypicalP};

}  // namespace kvasir::sampling
