// Top-k: keep the k most likely tokens (Fan, Lewis, Dauphin, "Hierarchical Neural Story Generation", 2018,
// arXiv:1805.04833). On a tie at the border the lower ids stay. It is the cheapest way to make the set small, which
// is why it is first among those that remove.

#include <fmt/format.h>

#include <limits>

#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

class TopK final : public Stage {
 public:
  explicit TopK(int32_t k) : k_(k) {}

  void Apply(Candidates& candidates, std::span<const int32_t>, const Randomness&) const override {
    candidates.KeepTop(static_cast<size_t>(k_));
  }

  std::string Describe() const override { return fmt::format("top_k({})", k_); }
  std::unique_ptr<Stage> Clone() const override { return std::make_unique<TopK>(*this); }

 private:
  int32_t k_;
};

Status ValidateTopK(const SamplingOptions& options, int) {
  return CheckCount("top_k", options.top_k, 0, std::numeric_limits<int32_t>::max());
}

Result<std::unique_ptr<Stage>> CreateTopK(const SamplingOptions& options, const StageInputs& inputs) {
  if (options.top_k == 0 || options.top_k >= inputs.vocab_size) return nullptr;
  return std::make_unique<TopK>(options.top_k);
}

}  // namespace

constexpr StageInfo kTopKStage = {"top_k", "", StageKind::kTruncation, ValidateTopK, CreateTopK};

}  // namespace kvasir::sampling
