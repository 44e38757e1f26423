// Repetition, presence and frequency penalties: tokens seen in the last `repeat_last_n` tokens become less likely.
//
// The repetition penalty is that of CTRL (Keskar et al. 2019, arXiv:1909.05858) with the correction all engines make:
// a positive logit is divided, a negative one multiplied, so that it always goes down for a penalty above 1. Presence
// and frequency are OpenAI's: logit -= presence + frequency * count. The order of the two steps and the common window
// are llama.cpp's. Counts are kept up to date token by token, so that a choice costs only as much as the window has
// distinct tokens.

#include <fmt/format.h>

#include <unordered_map>

#include "base/check.h"
#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

class Penalties final : public Stage {
 public:
  explicit Penalties(const SamplingOptions& options)
      : repeat_(options.repeat_penalty),
        presence_(options.presence_penalty),
        frequency_(options.frequency_penalty),
        last_n_(options.repeat_last_n) {}

  void Apply(Candidates& candidates, std::span<const int32_t>, const Randomness&) const override {
    candidates.Edit(counts_, [this](double logit, int32_t count) {
      const double repeated = logit > 0 ? logit / double{repeat_} : logit * double{repeat_};
      return repeated - double{presence_} - double{frequency_} * count;
    });
  }

  void Accept(std::span<const int32_t> history) override {
    ++counts_[history.back()];
    if (last_n_ < 0 || history.size() <= static_cast<size_t>(last_n_)) return;
    const auto left = counts_.find(history[history.size() - 1 - static_cast<size_t>(last_n_)]);
    if (--left->second == 0) counts_.erase(left);
  }

  std::string Describe() const override {
    const std::string window = last_n_ < 0 ? "all" : fmt::format("last {}", last_n_);
    return fmt::format("penalties({}: repeat {}, presence {}, frequency {})", window, repeat_, presence_, frequency_);
  }

  std::unique_ptr<Stage> Clone() const override { return std::make_unique<Penalties>(*this); }

 private:
  float repeat_;
  float presence_;
  float frequency_;
  int32_t last_n_;  // -1 = everything
  std::unordered_map<int32_t, int32_t> counts_;
};

Status ValidatePenalties(const SamplingOptions& options, int) {
  KV_TRY(CheckRange("repeat_penalty", options.repeat_penalty, 0.01F, 100));
  KV_TRY(CheckRange("presence_penalty", options.presence_penalty, -100, 100));
  KV_TRY(CheckRange("frequency_penalty", options.frequency_penalty, -100, 100));
  return CheckCount("repeat_last_n", options.repeat_last_n, -1, std::numeric_limits<int32_t>::max());
}

Result<std::unique_ptr<Stage>> CreatePenalties(const SamplingOptions& options, const StageInputs&) {
  const bool changes_nothing =
      options.repeat_penalty == 1 && options.presence_penalty == 0 && options.frequency_penalty == 0;
  if (changes_nothing || options.repeat_last_n == 0) return nullptr;
  return std::make_unique<Penalties>(options);
}

}  // namespace

constexpr StageInfo kPenaltiesStage = {"penalties", "", StageKind::kLogits, ValidatePenalties, CreatePenalties};

}  // namespace kvasir::sampling
