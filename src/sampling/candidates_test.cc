#include "sampling/candidates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <numeric>

#include "sampling/float_limits_testing.h"

namespace kvasir::sampling {
namespace {

/// Logits with many ties and some impossible ones.
std::vector<float> LogitsWithTies(size_t size) {
  const auto steps = *rc::gen::container<std::vector<int>>(size, rc::gen::inRange(-20, 20));
  std::vector<float> logits(size);
  std::ranges::transform(steps, logits.begin(), [](int step) {
    if (step == -20) return kNan;
    if (step == -19) return -kInf;
    return static_cast<float>(step) * 0.25F;
  });
  return logits;
}

std::vector<int32_t> Ids(std::span<const Candidate> candidates) {
  std::vector<int32_t> ids;
  for (const Candidate& candidate : candidates) ids.push_back(candidate.id);
  return ids;
}

std::vector<int32_t> SortedIds(std::span<const float> logits) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > -kInf) ids.push_back(static_cast<int32_t>(i));
  }
  std::ranges::stable_sort(
      ids, [&](int32_t a, int32_t b) { return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)]; });
  return ids;
}

RC_GTEST_PROP(CandidatesTest, SelectTopIsTheHeadOfAStableSort, ()) {
  const auto logits = LogitsWithTies(*rc::gen::inRange<size_t>(1, 3000));
  const auto count = *rc::gen::inRange<size_t>(0, 400);
  std::vector<Candidate> top;
  SelectTop(logits, count, top);
  std::vector<int32_t> expected = SortedIds(logits);
  expected.resize(std::min(count, expected.size()));
  RC_ASSERT(Ids(top) == expected);
}

RC_GTEST_PROP(CandidatesTest, DenseAndSparseKeepTheSameTop, ()) {
  const auto logits = LogitsWithTies(*rc::gen::inRange<size_t>(1, 300));
  const auto count = *rc::gen::inRange<size_t>(1, 100);
  Candidates dense;
  dense.Load(logits, {});
  Candidates sparse = dense;
  (void)sparse.List();
  dense.KeepTop(count);
  sparse.KeepTop(count);
  RC_ASSERT(Ids(dense.List()) == Ids(sparse.List()));
}

RC_GTEST_PROP(CandidatesTest, IncrementalSorterGivesTheSortedItems, ()) {
  auto items = *rc::gen::container<std::vector<int>>(*rc::gen::inRange<size_t>(1, 2000), rc::gen::inRange(0, 500));
  std::vector<int> expected = items;
  std::ranges::sort(expected);
  IncrementalSorter sorter{std::span<int>(items), std::less<>()};
  const auto upto = *rc::gen::inRange<size_t>(0, items.size());
  for (size_t i = 0; i <= upto; ++i) RC_ASSERT(sorter.At(i) == expected[i]);
}

RC_GTEST_PROP(CandidatesTest, DrawFollowsTheCumulativeSum, ()) {
  const auto logits = LogitsWithTies(*rc::gen::inRange<size_t>(1, 5000));
  const double u = *rc::gen::inRange(0, 1 << 20) / static_cast<double>(1 << 20);
  Candidates dense;
  dense.Load(logits, {});
  double total = 0;
  for (const float logit : logits) total += std::isfinite(logit) ? std::exp(double{logit}) : 0;
  if (total == 0) {
    RC_ASSERT(dense.DrawAt(u) == -1);
    return;
  }
  const int32_t drawn = dense.DrawAt(u);
  RC_ASSERT(drawn >= 0);
  double before = 0;
  for (int32_t i = 0; i < drawn; ++i) {
    const float logit = logits[static_cast<size_t>(i)];
    before += std::isfinite(logit) ? std::exp(double{logit}) : 0;
  }
  const double after = before + std::exp(double{logits[static_cast<size_t>(drawn)]});
  RC_ASSERT(u * total >= before - total * 1e-12);
  RC_ASSERT(u * total <= after + total * 1e-12);
  Candidates sparse = dense;
  (void)sparse.List();
  RC_ASSERT(sparse.DrawAt(u) == drawn);
}

TEST(CandidatesTest, TheLastDrawStopsAtATokenWithWeight) {
  std::vector<float> logits(5000, -kInf);
  logits[7] = 1;
  logits[2000] = -2000;  // its weight underflows to 0
  Candidates candidates;
  candidates.Load(logits, {});
  EXPECT_EQ(candidates.DrawAt(0), 7);
  EXPECT_EQ(candidates.DrawAt(std::nextafter(1.0, 0.0)), 7);
}

TEST(CandidatesTest, NanIsImpossibleAndInfinityTheLargestFloat) {
  Candidates candidates;
  candidates.Load(std::vector<float>{kNan, kInf, 3, -kInf}, {});
  EXPECT_EQ(candidates.CountPossible(), 2U);
  EXPECT_EQ(candidates.MaxLogit(), std::numeric_limits<float>::max());
  EXPECT_EQ(candidates.MostLikely(), 1);
  EXPECT_EQ(candidates.DrawAt(0.999), 1);
}

TEST(CandidatesTest, TheMaskRemovesTokens) {
  const std::vector<float> logits(70, 1.0F);
  std::vector<uint32_t> mask = {0, 1U << 3, 1U << 5};
  Candidates candidates;
  candidates.Load(logits, mask);
  EXPECT_EQ(Ids(candidates.List()), (std::vector<int32_t>{35, 69}));
  EXPECT_EQ(ArgMax(logits, mask), 35);
}

TEST(CandidatesTest, EditReachesDenseAndSparseTokensAlike) {
  const std::unordered_map<int32_t, double> edits = {
      {0, -std::numeric_limits<double>::infinity()}, {2, 5.0}, {3, 1e39}, {-1, 1.0}, {100, 1.0}};
  const auto add = [](double logit, double value) { return logit + value; };
  for (const bool sparse : {false, true}) {
    Candidates candidates;
    candidates.Load(std::vector<float>{9, 1, 2, 3, kNan}, {});
    if (sparse) (void)candidates.List();
    candidates.Edit(edits, add);
    const std::vector<Candidate> list = candidates.List();
    ASSERT_EQ(Ids(list), (std::vector<int32_t>{1, 2, 3}));
    EXPECT_EQ(list[1].logit, 7.0F);
    EXPECT_EQ(list[2].logit, std::numeric_limits<float>::max());
  }
}

TEST(CandidatesTest, AnEmptySetStaysEmptyThroughEveryOperation) {
  Candidates candidates;
  candidates.Load(std::vector<float>{kNan, -kInf}, {});
  candidates.Divide(2);
  EXPECT_EQ(candidates.MaxLogit(), kImpossible);
  EXPECT_EQ(candidates.SumWeights(kImpossible), 0);
  candidates.KeepTop(3);
  candidates.KeepAtLeast(-1.0);
  candidates.KeepTop(1);
  EXPECT_TRUE(candidates.List().empty());
  EXPECT_EQ(candidates.DrawAt(0.5), -1);
  EXPECT_EQ(candidates.MostLikely(), -1);
}

}  // namespace
}  // namespace kvasir::sampling
