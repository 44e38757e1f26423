#include "eval/tune_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <limits>

namespace kvasir::eval {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;

constexpr uint64_t kSeed = 1;

std::vector<TuneFate> FatesOf(const std::vector<TuneSample>& samples, const TuneGoal& goal) {
  std::vector<TuneFate> fates;
  for (const TuneVerdict& verdict : Judge(samples, goal, kSeed)) fates.push_back(verdict.fate);
  return fates;
}

TuneRow Row(size_t bytes, double kld, double high, double speed = 50) {
  return {.size = {.bytes = bytes, .peak_bytes = bytes + 10},
          .divergence = {.mean_kld = kld, .mean_kld_interval = Interval{.low = kld / 2, .high = high}, .chunks = 4},
          .held_bytes = bytes,
          .tokens_per_second = speed};
}

TEST(IsRung, IsEveryPowerOfTwoButTheEnd) {
  std::vector<int> rungs;
  for (int done = 0; done <= 20; ++done) {
    if (IsRung(done, 16)) rungs.push_back(done);
  }
  EXPECT_THAT(rungs, ElementsAre(2, 4, 8));
  EXPECT_FALSE(IsRung(2, 2));
}

TEST(Judge, GivesUpWhatIsSurelyAboveTheLimit) {
  const std::vector<TuneSample> samples = {
      {.bytes = 100, .chunk_klds = {0.001, 0.002}, .tokens_per_second = 50},
      {.bytes = 50, .chunk_klds = {0.004, 0.012}, .tokens_per_second = 50},   // one chunk speaks for it
      {.bytes = 25, .chunk_klds = {0.011, 0.030}, .tokens_per_second = 50}};  // none does
  EXPECT_THAT(FatesOf(samples, {.max_kld = 0.01}),
              ElementsAre(TuneFate::kMeasured, TuneFate::kMeasured, TuneFate::kOverLimit));
  // Bytes are no matter of chunks: they were compared before.
  EXPECT_THAT(FatesOf(samples, {.kv_bytes = 60}), Each(TuneFate::kMeasured));
}

TEST(Judge, GivesUpWhatAnotherOneBeatsInBytesLossAndSpeed) {
  const TuneSample good{.bytes = 100, .chunk_klds = {0.001, 0.002, 0.003, 0.004}, .tokens_per_second = 50};
  TuneSample worse = good;
  worse.bytes = 110;
  for (double& kld : worse.chunk_klds) kld += 0.0001;  // far less than chunks differ, but on every one
  const auto verdicts = Judge(std::vector{worse, good}, {.max_kld = 1}, kSeed);
  EXPECT_EQ(verdicts[0].fate, TuneFate::kDominated);
  EXPECT_EQ(verdicts[0].dominated_by, 1u);
  EXPECT_EQ(verdicts[1].fate, TuneFate::kMeasured);
  EXPECT_FALSE(verdicts[1].dominated_by.has_value());

  TuneSample smaller = worse;
  smaller.bytes = 99;
  EXPECT_THAT(FatesOf({smaller, good}, {.max_kld = 1}), Each(TuneFate::kMeasured));
  TuneSample faster = worse;
  faster.tokens_per_second = 50 * kSameSpeed + 1;
  EXPECT_THAT(FatesOf({faster, good}, {.max_kld = 1}), Each(TuneFate::kMeasured));
  faster.tokens_per_second = 50 * kSameSpeed - 1;
  EXPECT_THAT(FatesOf({faster, good}, {.max_kld = 1}), ElementsAre(TuneFate::kDominated, TuneFate::kMeasured));
  TuneSample unsure = worse;
  unsure.chunk_klds[2] = 0.0005;  // better on one chunk by more than it is worse on the others
  EXPECT_THAT(FatesOf({unsure, good}, {.max_kld = 1}), Each(TuneFate::kMeasured));
}

TEST(Judge, EqualsDoNotGiveEachOtherUp) {
  const TuneSample same{.bytes = 100, .chunk_klds = {0.001, 0.002}, .tokens_per_second = 50};
  EXPECT_THAT(FatesOf({same, same, same}, {.max_kld = 1}), Each(TuneFate::kMeasured));
}

TEST(Judge, OneChunkIsNoReason) {
  EXPECT_THAT(FatesOf({{.bytes = 9, .chunk_klds = {5}}, {.bytes = 1, .chunk_klds = {0}}}, {.max_kld = 0.1}),
              Each(TuneFate::kMeasured));
}

RC_GTEST_PROP(JudgeProperty, AFrontierIsLeftAndTheLimitHolds, ()) {
  const auto count = *rc::gen::inRange<size_t>(1, 12);
  const auto chunks = *rc::gen::inRange<size_t>(2, 9);
  std::vector<TuneSample> samples(count);
  for (TuneSample& sample : samples) {
    sample.bytes = *rc::gen::inRange<size_t>(1, 8);
    sample.tokens_per_second = *rc::gen::inRange(10, 14);
    for (size_t i = 0; i < chunks; ++i) sample.chunk_klds.push_back(*rc::gen::inRange(0, 100) / 1000.0);
  }
  const TuneGoal goal{.max_kld = 0.05};
  const auto verdicts = Judge(samples, goal, kSeed);
  for (size_t i = 0; i < count; ++i) {
    const auto [least, most] = std::ranges::minmax(samples[i].chunk_klds);
    if (verdicts[i].fate == TuneFate::kOverLimit) {
      RC_ASSERT(most > *goal.max_kld);
    } else {
      RC_ASSERT(least <= *goal.max_kld);  // all above would be over the limit
    }
    if (verdicts[i].fate != TuneFate::kDominated) continue;
    const TuneSample& better = samples[*verdicts[i].dominated_by];
    RC_ASSERT(better.bytes <= samples[i].bytes);
    RC_ASSERT(better.tokens_per_second * kSameSpeed >= samples[i].tokens_per_second);
  }
  // Of those within the limit somebody is always left: domination has no cycles, because the mean KLD falls with it.
  const auto within = [](const TuneVerdict& verdict) { return verdict.fate != TuneFate::kOverLimit; };
  const auto left = [](const TuneVerdict& verdict) { return verdict.fate == TuneFate::kMeasured; };
  if (std::ranges::all_of(verdicts, within)) RC_ASSERT(std::ranges::any_of(verdicts, left));
}

TEST(Choose, TheFewestBytesWithinTheLimitAtTheUpperEnd) {
  const std::vector<TuneRow> rows = {Row(1000, 0.0001, 0.0002), Row(400, 0.004, 0.0049), Row(300, 0.004, 0.0051),
                                     Row(500, 0.001, 0.002)};
  EXPECT_EQ(Choose(rows, {.max_kld = 0.005}), 1u);
  EXPECT_EQ(Choose(rows, {.max_kld = 0.0051}), 2u);
  EXPECT_EQ(Choose(rows, {.max_kld = 0.003}), 3u);
  EXPECT_EQ(Choose(rows, {.max_kld = 0.0002}), 0u);
  EXPECT_EQ(Choose(rows, {.max_kld = 0.0001}), std::nullopt);
}

TEST(Choose, TheLowestLossThatFitsTheBytesAtItsPeak) {
  const std::vector<TuneRow> rows = {Row(1000, 0.0001, 0.0002), Row(400, 0.004, 0.0049), Row(500, 0.001, 0.002)};
  EXPECT_EQ(Choose(rows, {.kv_bytes = 1010}), 0u);
  EXPECT_EQ(Choose(rows, {.kv_bytes = 1009}), 2u);  // 1000 at the end, 1010 on the way
  EXPECT_EQ(Choose(rows, {.kv_bytes = 509}), 1u);
  EXPECT_EQ(Choose(rows, {.kv_bytes = 409}), std::nullopt);
}

TEST(Choose, OfEqualOnesTheBetterInTheOtherThenTheFaster) {
  EXPECT_EQ(Choose(std::vector{Row(400, 0.002, 0.003), Row(400, 0.001, 0.003)}, {.max_kld = 0.01}), 1u);
  EXPECT_EQ(Choose(std::vector{Row(500, 0.001, 0.003), Row(400, 0.001, 0.003)}, {.kv_bytes = 1000}), 1u);
  EXPECT_EQ(Choose(std::vector{Row(400, 0.001, 0.003, 50), Row(400, 0.001, 0.003, 60)}, {.max_kld = 0.01}), 1u);
}

TEST(Choose, LeavesWhatWasGivenUpAndWhatHasNoInterval) {
  std::vector<TuneRow> rows = {Row(400, 0.001, 0.002), Row(300, 0.001, 0.002), Row(200, 0.001, 0.002)};
  rows[2].fate = TuneFate::kDominated;
  rows[1].divergence.mean_kld_interval.reset();
  rows.push_back(Row(100, std::numeric_limits<double>::quiet_NaN(), 0.002));
  EXPECT_EQ(Choose(rows, {.max_kld = 0.01}), 0u);
  EXPECT_EQ(Choose(rows, {.kv_bytes = 500}), 1u);  // bytes ask for no interval, but for a figure
  rows[0].fate = TuneFate::kTooLarge;
  EXPECT_EQ(Choose(rows, {.max_kld = 0.01}), std::nullopt);
}

TEST(MarkFrontier, IsWhatNobodyBeatsInBoth) {
  std::vector<TuneRow> rows = {Row(1000, 0.0001, 1), Row(500, 0.002, 1), Row(600, 0.003, 1),
                               Row(300, 0.004, 1),   Row(300, 0.004, 1), Row(300, 0.005, 1)};
  rows.push_back(Row(1, 0, 1));
  rows.back().fate = TuneFate::kOverLimit;
  MarkFrontier(rows);
  EXPECT_THAT(rows, ElementsAre(Field(&TuneRow::on_frontier, true), Field(&TuneRow::on_frontier, true),
                                Field(&TuneRow::on_frontier, false), Field(&TuneRow::on_frontier, true),
                                Field(&TuneRow::on_frontier, true),  // its equal does not beat it
                                Field(&TuneRow::on_frontier, false), Field(&TuneRow::on_frontier, false)));
}

}  // namespace
}  // namespace kvasir::eval
