#include "sampling/logprobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "sampling/float_limits_testing.h"
#include "sampling/naive_sampling.h"

namespace kvasir::sampling {
namespace {

RC_GTEST_PROP(LogprobsTest, AreTheLogarithmOfTheSoftmax, ()) {
  const auto steps = *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(-300, 300)));
  std::vector<float> logits;
  for (const int step : steps) logits.push_back(static_cast<float>(step) * 0.1F);
  const auto chosen = *rc::gen::inRange<int32_t>(0, static_cast<int32_t>(logits.size()));
  const auto count = *rc::gen::inRange<int32_t>(0, 30);
  const auto result = ComputeLogprobs(logits, chosen, count);
  RC_ASSERT(result.has_value());

  const auto expected = naive::FromLogits(logits).tokens;
  RC_ASSERT(result->top.size() == std::min(static_cast<size_t>(count), logits.size()));
  for (size_t i = 0; i < result->top.size(); ++i) {
    RC_ASSERT(result->top[i].id == expected[i].id);
    RC_ASSERT(std::abs(result->top[i].logprob - std::log(expected[i].probability)) < 1e-9);
    if (result->top[i].id == chosen) RC_ASSERT(result->top[i].logprob == result->chosen.logprob);  // the same bits
  }
  const auto own = std::ranges::find(expected, chosen, &naive::Token::id);
  RC_ASSERT(result->rank == own - expected.begin());
  RC_ASSERT(std::abs(result->chosen.logprob - std::log(own->probability)) < 1e-9);
}

TEST(LogprobsTest, SumToOneOverABigVocabulary) {
  std::vector<float> logits(262144);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = 10.0F * std::sin(static_cast<float>(i));
  const auto result = ComputeLogprobs(logits, 0, static_cast<int32_t>(logits.size()));
  double sum = 0;
  for (const TokenLogprob& token : result->top) sum += std::exp(token.logprob);
  EXPECT_NEAR(sum, 1.0, 1e-10);
}

TEST(LogprobsTest, SurvivesHugeAndImpossibleLogits) {
  const std::vector<float> logits = {-kInf, 3e38F, kNan, kInf};
  const auto result = ComputeLogprobs(logits, 0, 4);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->chosen.logprob, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(result->rank, 2);
  ASSERT_EQ(result->top.size(), 2U);
  EXPECT_EQ(result->top[0].id, 3);
  EXPECT_EQ(result->top[0].logprob, 0.0);
}

TEST(LogprobsTest, RefusesWhatHasNoAnswer) {
  const std::vector<float> logits = {1, 2};
  EXPECT_FALSE(ComputeLogprobs(logits, 2, 1).has_value());
  EXPECT_FALSE(ComputeLogprobs(logits, -1, 1).has_value());
  EXPECT_FALSE(ComputeLogprobs(logits, 0, -1).has_value());
  EXPECT_FALSE(ComputeLogprobs({}, 0, 1).has_value());
  EXPECT_FALSE(ComputeLogprobs(std::vector<float>{kNan, -kInf}, 0, 1).has_value());
  EXPECT_EQ(LogSumExp({}), -std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace kvasir::sampling
