// From a wish to a cache: what is measured, in which order, and what is kept when somebody stops it.
//
// Quality comes first, in lock-step with one pass of exact mode (runner.h), and in rounds (tune_choice.h). The last
// tokens of every chunk are computed one by one, caches in turns: that costs next to nothing and gives the speeds that
// the rounds compare. The speed that is reported is measured afterwards, again in turns, with the arithmetic that will
// be used, of those that are left: their figures are for people.
#include "kvasir/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/check.h"
#include "base/seconds_since.h"
#include "eval/chunks.h"
#include "eval/decode_race.h"
#include "eval/divergence_meter.h"
#include "eval/runner.h"
#include "eval/tune_choice.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kDecodeTail = 3 * eval::Lockstep::kDecodeTokens;
constexpr int kProbeTokens = 128;
constexpr double kQualityShare = 0.9;  // of the progress

Status CheckOptions(const TuneOptions& options) {
  const TuneGoal& goal = options.goal;
  if (goal.max_kld.has_value() == goal.kv_bytes.has_value()) {
    return Fail(ErrorCode::kInvalidArgument, "the goal is either a largest KLD or a number of bytes: give one of them");
  }
  if (goal.max_kld && !(*goal.max_kld > 0)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the largest KLD is {}, but it must be above 0", *goal.max_kld));
  }
  if (options.caches.empty()) return Fail(ErrorCode::kInvalidArgument, "no cache was named to be tried");
  if (options.text.max_chunks == 1) {
    return Fail(ErrorCode::kInvalidArgument,
                "one chunk says nothing about how far the next one may be off: at least two are needed");
  }
  return {};
}

// One run. The rows that are still measured are `active_`; index i of the lock-step is row places_[i].
class Tuning {
 public:
  Tuning(const TuneOptions& options, const TuneCallbacks& callbacks) : options_(options), callbacks_(callbacks) {
    quality_ = options.engine;
    quality_.context_tokens = options.text.context;
    if (quality_.compute != ComputeMode::kExact) quality_.compute = ComputeMode::kPrecise;
  }

  Result<TuneReport> Run();

 private:
  Status PlanRows();
  Status Load();
  Status MeasureQuality();
  Status MeasureChunk(int chunk);
  void EndChunk();
  void GiveUpSome();
  Status MeasureSpeed();
  Result<TuneCost> Cost();
  bool Step(std::string what, double share);
  [[nodiscard]] std::vector<size_t> Active() const;  // indices of the lock-step
  [[nodiscard]] TuneRow& RowOf(size_t i) { return report_.rows[places_[i]]; }

  const TuneOptions& options_;
  const TuneCallbacks& callbacks_;
  EngineOptions quality_;
  std::optional<eval::Lockstep> lockstep_;
  std::vector<size_t> places_;
  std::vector<eval::DivergenceMeter> meters_;
  std::vector<bool> dropped_;
  std::vector<int32_t> depth_tokens_;  // a chunk of the text
  TuneReport report_;
};

bool Tuning::Step(std::string what, double share) {
  if (callbacks_.on_step && !callbacks_.on_step({std::move(what), std::min(share, 1.0)})) report_.interrupted = true;
  return !report_.interrupted;
}

std::vector<size_t> Tuning::Active() const {
  std::vector<size_t> active;
  for (size_t i = 0; i < places_.size(); ++i) {
    if (!dropped_[i]) active.push_back(i);
  }
  return active;
}

// The sizes of all, and which of them are worth a measurement.
Status Tuning::PlanRows() {
  KV_ASSIGN(const std::vector<CacheSize> sizes, InspectCaches(quality_, options_.caches));
  size_t smallest = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    report_.rows.push_back({.size = sizes[i], .held_bytes = sizes[i].bytes});
    if (sizes[i].peak_bytes < sizes[smallest].peak_bytes) smallest = i;
    if (options_.goal.kv_bytes && sizes[i].peak_bytes > *options_.goal.kv_bytes) {
      report_.rows.back().fate = TuneFate::kTooLarge;
    } else {
      places_.push_back(i);
    }
  }
  if (!places_.empty()) return {};
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("none of the {} caches holds {} tokens in {} bytes; the smallest, {}, needs {}", sizes.size(),
                          options_.text.context, *options_.goal.kv_bytes, KvSpecText(sizes[smallest].kv),
                          sizes[smallest].peak_bytes));
}

Status Tuning::Load() {
  std::vector<KvSpec> caches;
  for (const size_t place : places_) caches.push_back(options_.caches[place]);
  KV_ASSIGN(lockstep_, eval::Lockstep::Create(quality_, caches, options_.text));
  meters_.resize(places_.size());
  dropped_.resize(places_.size());
  const std::span<const int32_t> tokens = lockstep_->chunk(0);
  depth_tokens_.assign(tokens.begin(), tokens.end());
  const Engine& engine = lockstep_->asked().engine();
  report_.model = engine.info().name;
  report_.isa = engine.isa();
  report_.threads = engine.options().threads;
  report_.quality_compute = quality_.compute;
  report_.speed_compute = options_.engine.compute;
  report_.context = options_.text.context;
  return {};
}

// The time of a few tokens, which the first ones in a model's life are not.
Result<TuneCost> Tuning::Cost() {
  const auto probe = [&](eval::Runner& runner) -> Result<double> {
    const auto count = std::min(static_cast<size_t>(kProbeTokens), depth_tokens_.size() / 2);
    const std::span<const int32_t> tokens = std::span(depth_tokens_).first(count);
    double seconds = 0;
    for (int round = 0; round < 2; ++round) {
      runner.Reset();
      const double before = runner.seconds();
      KV_TRY(runner.Run(tokens, static_cast<int>(count) / 2, [](int, std::span<const float>) {}));
      seconds = runner.seconds() - before;
    }
    return seconds / static_cast<double>(count);
  };
  KV_ASSIGN(const double exact, probe(lockstep_->exact()));
  KV_ASSIGN(const double asked, probe(lockstep_->asked()));
  TuneCost cost{.caches = static_cast<int>(places_.size()),
                .chunks = lockstep_->chunks(),
                .context = options_.text.context,
                .kv_bytes = lockstep_->asked().engine().options().kv_budget_bytes};
  cost.seconds = static_cast<double>(cost.chunks) * cost.context * (exact + asked * cost.caches);
  return cost;
}

Status Tuning::MeasureChunk(int chunk) {
  const std::vector<size_t> active = Active();
  const int first = eval::FirstScored(options_.text.context);
  const int pieces = first / eval::Lockstep::kUnscoredTokens + first / eval::Lockstep::kPieceTokens +
                     kDecodeTail / eval::Lockstep::kDecodeTokens + 1;
  const double turns = static_cast<double>(pieces) * static_cast<double>(active.size() + 1);
  int done = 0;
  const auto keep_going = [&] {
    const double share = (chunk + std::min(++done / turns, 1.0)) / lockstep_->chunks();
    return Step(fmt::format("chunk {} of {} · {} caches", chunk + 1, lockstep_->chunks(), active.size()),
                kQualityShare * share);
  };
  return lockstep_->RunChunk({.chunk = chunk, .first = first, .decode_tail = kDecodeTail, .keep_going = keep_going},
                             [&](const eval::LockstepRow& row) { meters_[row.configuration].Add(row); });
}

void Tuning::EndChunk() {
  for (const size_t i : Active()) {
    meters_[i].EndChunk();
    TuneRow& row = RowOf(i);
    row.divergence = meters_[i].Report(options_.text.seed);
    row.divergence.seconds = lockstep_->asked(i).seconds();
    row.divergence.exact_seconds = lockstep_->exact().seconds();
    if (!row.size.kv.evicts()) continue;
    // Its loss is that of what it holds, which is not what it would keep of a prompt of the whole context.
    row.held_bytes = lockstep_->asked(i).kv_bytes();
    row.size.bits_per_element = row.size.kept_bits_per_element * static_cast<double>(row.held_bytes) /
                                static_cast<double>(row.size.whole_bytes);
  }
  ++report_.chunks;
}

void Tuning::GiveUpSome() {
  const std::vector<size_t> active = Active();
  std::vector<eval::TuneSample> samples;
  for (const size_t i : active) {
    const std::span<const double> klds = meters_[i].chunk_klds();
    samples.push_back({.bytes = RowOf(i).held_bytes,
                       .chunk_klds = {klds.begin(), klds.end()},
                       .tokens_per_second = eval::MedianSpeed(lockstep_->decode_speeds(i))});
  }
  const std::vector<eval::TuneVerdict> verdicts = eval::Judge(samples, options_.goal, options_.text.seed);
  for (size_t k = 0; k < active.size(); ++k) {
    if (verdicts[k].fate == TuneFate::kMeasured) continue;
    TuneRow& row = RowOf(active[k]);
    row.fate = verdicts[k].fate;
    if (verdicts[k].dominated_by) row.dominated_by = places_[active[*verdicts[k].dominated_by]];
    dropped_[active[k]] = true;
    lockstep_->Drop(active[k]);
  }
}

Status Tuning::MeasureQuality() {
  for (int chunk = 0; chunk < lockstep_->chunks(); ++chunk) {
    const Status status = MeasureChunk(chunk);
    if (!status && report_.interrupted) return {};  // the whole chunks stay
    KV_TRY(status);
    EndChunk();
    if (eval::IsRung(report_.chunks, lockstep_->chunks())) GiveUpSome();
    if (Active().empty()) return {};
  }
  return {};
}

Status Tuning::MeasureSpeed() {
  const std::vector<size_t> active = Active();
  std::vector<eval::DecodeSpeed> speeds;
  if (report_.speed_compute == report_.quality_compute) {
    for (const size_t i : active) speeds.push_back(eval::SpeedOf(lockstep_->decode_speeds(i)));
  } else {
    std::vector<KvSpec> caches;
    for (const size_t i : active) caches.push_back(RowOf(i).size.kv);
    lockstep_.reset();  // its weights are no longer needed
    EngineOptions engine = options_.engine;
    engine.context_tokens = options_.text.context;
    const auto keep_going = [&](int done, int total) {
      const double share = static_cast<double>(done) / total;
      return Step(fmt::format("speed of {} caches", caches.size()), kQualityShare + (1 - kQualityShare) * share);
    };
    auto raced = eval::RaceDecoding(engine, caches, depth_tokens_, keep_going);
    if (!raced && report_.interrupted) return {};
    KV_TRY(raced);
    speeds = *std::move(raced);
  }
  for (size_t k = 0; k < active.size(); ++k) {
    TuneRow& row = RowOf(active[k]);
    row.tokens_per_second = speeds[k].median;
    row.min_tokens_per_second = speeds[k].slowest;
    row.max_tokens_per_second = speeds[k].fastest;
  }
  return {};
}

Result<TuneReport> Tuning::Run() {
  const Clock::time_point start = Clock::now();
  KV_TRY(CheckOptions(options_));
  KV_TRY(PlanRows());
  KV_TRY(Load());
  KV_ASSIGN(const TuneCost cost, Cost());
  if (callbacks_.on_cost) callbacks_.on_cost(cost);
  KV_TRY(MeasureQuality());
  if (report_.chunks < 2) return std::unexpected(eval::Cancelled());
  if (!report_.interrupted && !Active().empty()) KV_TRY(MeasureSpeed());
  eval::MarkFrontier(report_.rows);
  report_.chosen = eval::Choose(report_.rows, options_.goal);
  report_.seconds = base::SecondsSince(start);
  return std::move(report_);
}

}  // namespace

Result<TuneReport> Tune(const TuneOptions& options, const TuneCallbacks& callbacks) {
  return Tuning(options, callbacks).Run();
}

}  // namespace kvasir
