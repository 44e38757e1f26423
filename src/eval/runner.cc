#include "eval/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "eval/chunks.h"

namespace kvasir::eval {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

EngineOptions ExactOf(EngineOptions options) {
  options.compute = ComputeMode::kExact;
  options.kv = {};
  options.kv_budget_bytes = 0;
  return options;
}

}  // namespace

std::string ConfigurationOf(const Engine& engine) {
  return fmt::format("compute {}, cache {}", ComputeModeName(engine.options().compute),
                     KvSpecText(engine.options().kv));
}

Result<Runner> Runner::Create(EngineOptions options, int context) {
  if (options.context_tokens == 0) options.context_tokens = context;
  Runner runner;
  KV_ASSIGN(runner.engine_, Engine::Load(options));
  KV_ASSIGN(runner.session_, runner.engine_->NewSession());
  return runner;
}

Status Runner::Run(std::span<const int32_t> tokens, int first, const OnLogits& on_logits) {
  const Clock::time_point start = Clock::now();
  double inside = 0;  // time of the callback, which is not the engine's
  const Status status = session_->Evaluate(tokens, first, 0, [&](int index, std::span<const float> logits) {
    const Clock::time_point begin = Clock::now();
    on_logits(index, logits);
    inside += SecondsSince(begin);
  });
  seconds_ += SecondsSince(start) - inside;
  return status;
}

Result<Lockstep> Lockstep::Create(const EngineOptions& options, const EvalText& text) {
  KV_ASSIGN(Runner exact, Runner::Create(ExactOf(options), text.context));
  KV_ASSIGN(Runner asked, Runner::Create(options, text.context));
  Lockstep lockstep(std::move(exact), std::move(asked));
  KV_ASSIGN(lockstep.chunks_, CutText(lockstep.asked_.engine(), text));
  lockstep.truth_.resize(static_cast<size_t>(kPieceTokens) *
                         static_cast<size_t>(lockstep.asked_.engine().info().vocabulary));
  return lockstep;
}

Status Lockstep::RunChunk(int chunk, int first, const std::function<void(const LockstepRow&)>& on_row) {
  const std::vector<int32_t>& tokens = chunks_[static_cast<size_t>(chunk)];
  const int scored_end = static_cast<int>(tokens.size()) - 1;
  const size_t vocabulary = truth_.size() / kPieceTokens;
  exact_.Reset();
  asked_.Reset();
  const auto nothing = [](int, std::span<const float>) {};
  const std::span<const int32_t> unscored = std::span(tokens).first(static_cast<size_t>(first));
  KV_TRY(exact_.Run(unscored, first, nothing));
  KV_TRY(asked_.Run(unscored, first, nothing));
  bool compressed = false;
  for (int begin = first; begin < scored_end; begin += kPieceTokens) {
    // A cache that evicts does so when it has seen the first half.
    if (!compressed && begin >= FirstScored(static_cast<int>(tokens.size()))) {
      KV_TRY(asked_.Compress());
      compressed = true;
    }
    const auto count = static_cast<size_t>(std::min(kPieceTokens, scored_end - begin));
    const std::span<const int32_t> piece = std::span(tokens).subspan(static_cast<size_t>(begin), count);
    const auto truth = [&](int index) {
      return std::span<float>(truth_).subspan(static_cast<size_t>(index) * vocabulary, vocabulary);
    };
    KV_TRY(exact_.Run(piece, 0, [&](int index, std::span<const float> logits) {
      std::memcpy(truth(index).data(), logits.data(), logits.size_bytes());
    }));
    KV_TRY(asked_.Run(piece, 0, [&](int index, std::span<const float> logits) {
      const int position = begin + index;
      on_row({.position = position,
              .exact = truth(index),
              .asked = logits,
              .next = tokens[static_cast<size_t>(position) + 1]});
    }));
  }
  return {};
}

}  // namespace kvasir::eval
