#include "eval/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/seconds_since.h"
#include "engine/kv_plan.h"
#include "eval/chunks.h"
#include "kvasir/inspect.h"

namespace kvasir::eval {
namespace {

using Clock = std::chrono::steady_clock;

EngineOptions ExactOf(EngineOptions options) {
  options.compute = ComputeMode::kExact;
  options.kv = {};
  options.kv_budget_bytes = 0;
  return options;
}

}  // namespace

Result<size_t> PeakBytesOfAll(const EngineOptions& options, std::span<const KvSpec> caches) {
  KV_ASSIGN(const std::vector<CacheSize> sizes, InspectCaches(options, caches));
  size_t bytes = 0;
  for (const CacheSize& size : sizes) bytes += size.peak_bytes;
  return bytes;
}

std::string ConfigurationOf(const Engine& engine) {
  return ConfigurationOf(engine.options().compute, engine.options().kv);
}

std::string ConfigurationOf(ComputeMode compute, const KvSpec& kv) {
  return fmt::format("compute {}, cache {}", ComputeModeName(compute), KvSpecText(kv));
}

Result<Runner> Runner::Create(EngineOptions options, int context) {
  if (options.context_tokens == 0) options.context_tokens = context;
  Runner runner;
  KV_ASSIGN(runner.engine_, Engine::Load(options));
  KV_ASSIGN(runner.session_, runner.engine_->NewSession());
  runner.kv_ = runner.engine_->options().kv;
  return runner;
}

Result<Runner> Runner::Create(std::shared_ptr<Engine> engine, const KvSpec& kv) {
  Runner runner;
  runner.engine_ = std::move(engine);
  runner.kv_ = ResolveKvSpec(kv, runner.engine_->options().compute);
  KV_ASSIGN(runner.session_, runner.engine_->NewSession(kv));
  return runner;
}

Status Runner::Run(std::span<const int32_t> tokens, int first, const OnLogits& on_logits, int step) {
  const Clock::time_point start = Clock::now();
  double inside = 0;  // time of the callback, which is not the engine's
  const Status status = session_->Evaluate(tokens, first, step, [&](int index, std::span<const float> logits) {
    const Clock::time_point begin = Clock::now();
    on_logits(index, logits);
    inside += base::SecondsSince(begin);
  });
  seconds_ += base::SecondsSince(start) - inside;
  return status;
}

Result<Lockstep> Lockstep::Create(const EngineOptions& given, std::span<const KvSpec> caches, const EvalText& text) {
  KV_CHECK(!caches.empty());
  EngineOptions options = given;
  options.kv = caches.front();
  if (options.context_tokens == 0) options.context_tokens = text.context;
  const bool own_exact = options.compute != ComputeMode::kExact;
  if (options.kv_budget_bytes == 0 || !own_exact) {
    std::vector<KvSpec> all(caches.begin(), caches.end());
    if (!own_exact) all.emplace_back();
    KV_ASSIGN(options.kv_budget_bytes, PeakBytesOfAll(options, all));
  }
  EngineOptions exact_options = ExactOf(options);
  if (!own_exact) exact_options.kv_budget_bytes = options.kv_budget_bytes;
  KV_ASSIGN(Runner exact, Runner::Create(exact_options, text.context));
  std::shared_ptr<Engine> engine = exact.shared_engine();
  if (own_exact) {
    KV_ASSIGN(engine, Engine::Load(options));
  }
  Lockstep lockstep(std::move(exact));
  for (const KvSpec& kv : caches) {
    KV_ASSIGN(Runner runner, Runner::Create(engine, kv));
    lockstep.asked_.emplace_back(std::move(runner));
  }
  lockstep.speeds_.resize(caches.size());
  KV_ASSIGN(lockstep.chunks_, CutText(*engine, text));
  lockstep.truth_.resize(static_cast<size_t>(kPieceTokens) * static_cast<size_t>(engine->info().vocabulary));
  return lockstep;
}

Lockstep::Piece Lockstep::PieceAt(std::span<const int32_t> tokens, const ChunkPlan& plan, int begin) {
  const int size = static_cast<int>(tokens.size());
  const int end = size - 1;  // nothing follows the last token
  const int tail = std::max({end - plan.decode_tail, plan.first, FirstScored(size)});
  Piece piece{.begin = begin, .scored = begin >= plan.first, .one_by_one = begin >= tail && plan.decode_tail > 0};
  const int most = !piece.scored      ? std::min(kUnscoredTokens, plan.first - begin)
                   : piece.one_by_one ? std::min(kDecodeTokens, end - begin)
                                      : std::min(kPieceTokens, (tail > begin ? tail : end) - begin);
  piece.tokens = tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(most));
  return piece;
}

Status Lockstep::RunExact(const Piece& piece) {
  const int first = piece.scored ? 0 : static_cast<int>(piece.tokens.size());
  return exact_.Run(piece.tokens, first, [&](int index, std::span<const float> logits) {
    std::memcpy(truth(index).data(), logits.data(), logits.size_bytes());
  });
}

Status Lockstep::RunAsked(size_t configuration, const Piece& piece, std::span<const int32_t> tokens,
                          const OnRow& on_row) {
  Runner& runner = *asked_[configuration];
  const int first = piece.scored ? 0 : static_cast<int>(piece.tokens.size());
  const auto give = [&](int index, std::span<const float> logits) {
    const int position = piece.begin + index;
    on_row({.configuration = configuration,
            .position = position,
            .exact = truth(index),
            .asked = logits,
            .next = tokens[static_cast<size_t>(position) + 1]});
  };
  const double before = runner.seconds();
  KV_TRY(runner.Run(piece.tokens, first, give, piece.one_by_one ? 1 : 0));
  if (piece.one_by_one) {
    speeds_[configuration].push_back(static_cast<double>(piece.tokens.size()) / (runner.seconds() - before));
  }
  return {};
}

Status Lockstep::RunChunk(const ChunkPlan& plan, const OnRow& on_row) {
  const std::span<const int32_t> tokens = chunk(plan.chunk);
  const int end = static_cast<int>(tokens.size()) - 1;
  const auto keep_going = [&] { return !plan.keep_going || plan.keep_going(); };
  exact_.Reset();
  for (std::optional<Runner>& runner : asked_) {
    if (runner) runner->Reset();
  }
  bool compressed = false;
  for (int begin = 0; begin < end;) {
    const Piece piece = PieceAt(tokens, plan, begin);
    // A cache that evicts does so when it has seen the first half.
    const bool compress = !compressed && begin >= FirstScored(static_cast<int>(tokens.size()));
    compressed = compressed || compress;
    KV_TRY(RunExact(piece));
    if (!keep_going()) return std::unexpected(Cancelled());
    for (size_t i = 0; i < asked_.size(); ++i) {
      if (!asked_[i]) continue;
      if (compress) KV_TRY(asked_[i]->Compress());
      KV_TRY(RunAsked(i, piece, tokens, on_row));
      if (!keep_going()) return std::unexpected(Cancelled());
    }
    begin += static_cast<int>(piece.tokens.size());
  }
  return {};
}

}  // namespace kvasir::eval
