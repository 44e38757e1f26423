#include "sampling/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <random>

#include "base/check.h"
#include "base/rng.h"
#include "sampling/range.h"
#include "sampling/registry.h"

namespace kvasir::sampling {
namespace {

/// Dividing by less than this would overflow or round to a choice of the best token anyway.
constexpr float kGreedyBelow = 1e-5F;

Result<uint64_t> RandomSeed() {
  try {
    std::random_device device;
    return (uint64_t{device()} << 32) | device();
  } catch (const std::exception& error) {
    return Fail(ErrorCode::kIo, fmt::format("the system gives no random seed ({}); set seed", error.what()));
  }
}

Status CheckSizes(size_t logits, size_t allowed_words, int32_t vocab_size) {
  const auto vocab = static_cast<size_t>(vocab_size);
  if (logits != vocab) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("got {} logits for a vocabulary of {} tokens; give one per token", logits, vocab));
  }
  const size_t words = (vocab + 31) / 32;
  if (allowed_words != 0 && allowed_words < words) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("the mask of allowed tokens has {} words, but {} tokens need {}", allowed_words, vocab, words));
  }
  return {};
}

}  // namespace

double Randomness::Uniform(RandomStream stream) const {
  return base::RandomUniform(seed, position, static_cast<uint32_t>(stream));
}

Result<Sampler> Sampler::Create(SamplingOptions options, int32_t vocab_size, TokenText token_text) {
  KV_TRY(CheckCount("vocab_size", vocab_size, 1, std::numeric_limits<int32_t>::max()));
  KV_TRY(Validate(options, vocab_size));
  if (!options.seed) {
    KV_ASSIGN(options.seed, RandomSeed());
  }
  Sampler sampler(std::move(options), vocab_size);
  KV_TRY(sampler.AddStages({vocab_size, std::move(token_text)}));
  if (sampler.options_.mirostat == 2 && !sampler.greedy()) {
    sampler.mirostat_.emplace(sampler.options_.mirostat_tau, sampler.options_.mirostat_eta);
  }
  return sampler;
}

bool Sampler::greedy() const {
  return options_.temperature < kGreedyBelow;
}

bool Sampler::IsSkipped(StageKind kind) const {
  switch (kind) {
    case StageKind::kLogits: return false;
    case StageKind::kTruncation: return greedy() || options_.mirostat != 0;
    case StageKind::kTemperature: return greedy();
  }
  return false;
}

Status Sampler::AddStage(const StageInfo& info, const StageInputs& inputs) {
  if (IsSkipped(info.kind)) return {};
  KV_ASSIGN(std::unique_ptr<Stage> stage, info.create(options_, inputs));
  if (stage != nullptr) stages_.push_back(std::move(stage));
  return {};
}

Status Sampler::AddStages(const StageInputs& inputs) {
  const auto is_named = [&](const StageInfo& info) {
    return std::ranges::find(options_.order, info.name) != options_.order.end();
  };
  // A ban must hold whatever the order says.
  if (!is_named(kLogitBiasStage)) KV_TRY(AddStage(kLogitBiasStage, inputs));
  for (const std::string& name : options_.order) {
    KV_TRY(AddStage(*FindStage(name), inputs));
  }
  for (const StageInfo* info : AllStages()) {
    if (is_named(*info) || info == &kLogitBiasStage || IsSkipped(info->kind)) continue;
    KV_ASSIGN(const std::unique_ptr<Stage> stage, info->create(options_, inputs));
    if (stage != nullptr) left_out_.emplace_back(info->name);
  }
  return {};
}

int32_t Sampler::Choose() {
  if (greedy()) return candidates_.MostLikely();
  const Randomness randomness = {seed(), history_.size()};
  const double u = randomness.Uniform(RandomStream::kDraw);
  return mirostat_ ? mirostat_->Choose(candidates_, u) : candidates_.DrawAt(u);
}

Result<int32_t> Sampler::Sample(std::span<const float> logits, std::span<const uint32_t> allowed) {
  KV_TRY(CheckSizes(logits.size(), allowed.size(), vocab_size_));
  int32_t token = -1;
  if (greedy() && stages_.empty()) {
    token = ArgMax(logits, allowed);
  } else {
    candidates_.Load(logits, allowed);
    const Randomness randomness = {seed(), history_.size()};
    for (const std::unique_ptr<Stage>& stage : stages_) {
      stage->Apply(candidates_, history_, randomness);
    }
    token = Choose();
  }
  if (token < 0) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("no token can be chosen: of {} tokens each is masked, banned by logit_bias, or has a logit of "
                    "minus infinity or NaN; check the mask, the bans and the model",
                    vocab_size_));
  }
  return token;
}

void Sampler::Accept(int32_t token) {
  history_.push_back(token);
  for (const std::unique_ptr<Stage>& stage : stages_) {
    stage->Accept(history_);
  }
  if (mirostat_) mirostat_->Accept(token);
}

std::string Sampler::DescribeChain() const {
  std::string text;
  for (const std::unique_ptr<Stage>& stage : stages_) {
    text += stage->Describe() + " > ";
  }
  if (mirostat_) text += mirostat_->Describe() + " > ";
  text += greedy() ? std::string("argmax") : fmt::format("draw(seed {})", seed());
  if (!left_out_.empty()) text += fmt::format(" (not in the order: {})", fmt::join(left_out_, ", "));
  return text;
}

Sampler Sampler::Clone() const {
  Sampler copy(options_, vocab_size_);
  for (const std::unique_ptr<Stage>& stage : stages_) {
    copy.stages_.push_back(stage->Clone());
  }
  copy.left_out_ = left_out_;
  copy.mirostat_ = mirostat_;
  copy.history_ = history_;
  return copy;
}

}  // namespace kvasir::sampling
