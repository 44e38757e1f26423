// Logit bias: the user adds a number to the logits of single tokens; minus infinity bans a token. As in the OpenAI
// and llama.cpp APIs, it comes before everything else by default. Entries for one token add up.

#include <fmt/format.h>

#include <cmath>
#include <unordered_map>

#include "base/check.h"
#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

class LogitBias final : public Stage {
 public:
  explicit LogitBias(const SamplingOptions& options) {
    for (const auto& [id, bias] : options.logit_bias) {
      bias_[id] += double{bias};
    }
  }

  void Apply(Candidates& candidates, std::span<const int32_t>, const Randomness&) const override {
    candidates.Edit(bias_, [](double logit, double bias) { return logit + bias; });
  }

  std::string Describe() const override { return fmt::format("logit_bias({} tokens)", bias_.size()); }
  std::unique_ptr<Stage> Clone() const override { return std::make_unique<LogitBias>(*this); }

 private:
  std::unordered_map<int32_t, double> bias_;
};

Status ValidateLogitBias(const SamplingOptions& options, int vocab_size) {
  for (const auto& [id, bias] : options.logit_bias) {
    if (id < 0 || (vocab_size > 0 && id >= vocab_size)) {
      return Fail(ErrorCode::kInvalidArgument,
                  vocab_size > 0
                      ? fmt::format("logit_bias names token {}, but the ids go from 0 to {}", id, vocab_size - 1)
                      : fmt::format("logit_bias names token {}, but ids are 0 or more", id));
    }
    if (bias == -std::numeric_limits<float>::infinity()) continue;
    if (Status status = CheckRange(fmt::format("logit_bias of token {}", id), bias, -1e6F, 1e6F); !status) {
      return Fail(ErrorCode::kInvalidArgument, status.error().message + ", or minus infinity to ban the token");
    }
  }
  return {};
}

Result<std::unique_ptr<Stage>> CreateLogitBias(const SamplingOptions& options, const StageInputs&) {
  if (options.logit_bias.empty()) return nullptr;
  return std::make_unique<LogitBias>(options);
}

}  // namespace

constexpr StageInfo kLogitBiasStage = {"logit_bias", "bias", StageKind::kLogits, ValidateLogitBias, CreateLogitBias};

}  // namespace kvasir::sampling
