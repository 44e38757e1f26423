#include "eval/decode_race.h"

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "eval/chunks.h"
#include "eval/distribution.h"
#include "eval/runner.h"

namespace kvasir::eval {
namespace {

constexpr size_t kTurns = 7;
constexpr size_t kTokensOfTurn = 8;

constexpr auto kNoLogits = [](int, std::span<const float>) {};

// Computes all but what is timed.
Status Fill(Runner& runner, std::span<const int32_t> tokens, size_t half) {
  KV_TRY(runner.Run(tokens.first(half), static_cast<int>(half), kNoLogits));
  KV_TRY(runner.Compress());
  const std::span<const int32_t> rest = tokens.subspan(half);
  return runner.Run(rest, static_cast<int>(rest.size()), kNoLogits);
}

}  // namespace

DecodeSpeed SpeedOf(std::span<const double> turns) {
  if (turns.empty()) return {};
  const auto [slowest, fastest] = std::ranges::minmax(turns);
  return {.median = Median(turns), .slowest = slowest, .fastest = fastest};
}

Result<std::vector<DecodeSpeed>> RaceDecoding(const EngineOptions& given, std::span<const KvSpec> caches,
                                              std::span<const int32_t> tokens,
                                              const std::function<bool(int, int)>& keep_going) {
  KV_CHECK(!caches.empty() && tokens.size() >= 8);
  EngineOptions options = given;
  options.kv = caches.front();
  KV_ASSIGN(options.kv_budget_bytes, PeakBytesOfAll(options, caches));
  KV_ASSIGN(const std::shared_ptr<Engine> engine, Engine::Load(options));
  const size_t of_turn = std::clamp<size_t>(tokens.size() / 8 / kTurns, 1, kTokensOfTurn);
  const size_t timed = std::min(of_turn * kTurns, tokens.size() / 8);
  const auto depth = tokens.size() - timed;
  const auto half = static_cast<size_t>(FirstScored(static_cast<int>(tokens.size())));
  const size_t turns = timed / of_turn;
  const auto parts = static_cast<int>(2 * caches.size());
  std::vector<Runner> runners;
  for (const KvSpec& kv : caches) {
    KV_ASSIGN(Runner runner, Runner::Create(engine, kv));
    KV_TRY(Fill(runner, tokens.first(depth), half));
    runners.push_back(std::move(runner));
    if (!keep_going(static_cast<int>(runners.size()), parts)) return std::unexpected(Cancelled());
  }
  std::vector<std::vector<double>> speeds(caches.size());
  for (size_t turn = 0; turn < turns; ++turn) {
    const std::span<const int32_t> next = tokens.subspan(depth + turn * of_turn, of_turn);
    for (size_t i = 0; i < runners.size(); ++i) {
      const double before = runners[i].seconds();
      KV_TRY(runners[i].Run(next, 0, kNoLogits, 1));
      speeds[i].push_back(static_cast<double>(of_turn) / (runners[i].seconds() - before));
    }
    const auto done = static_cast<int>(caches.size() + (turn + 1) * caches.size() / turns);
    if (!keep_going(done, parts)) return std::unexpected(Cancelled());
  }
  std::vector<DecodeSpeed> result;
  for (const std::vector<double>& each : speeds) result.push_back(SpeedOf(each));
  return result;
}

}  // namespace kvasir::eval
