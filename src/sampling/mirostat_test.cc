#include "sampling/mirostat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "sampling/naive_sampling.h"

namespace kvasir::sampling {
namespace {

Candidates Load(const std::vector<float>& logits) {
  Candidates candidates;
  candidates.Load(logits, {});
  return candidates;
}

TEST(MirostatTest, LearnsTheSurpriseOfTheAcceptedToken) {
  // Probabilities 1/2, 1/4, 1/8, 1/8: surprises of 1, 2, 3 and 3 bits.
  const std::vector<float> logits = {std::log(0.5F), std::log(0.25F), std::log(0.125F), std::log(0.125F)};
  Mirostat mirostat(/*tau=*/1.25, /*eta=*/0.4);
  EXPECT_EQ(mirostat.mu(), 2.5);  // the eighths are out; 1/2 and 1/4 become 2/3 and 1/3
  auto candidates = Load(logits);
  EXPECT_EQ(mirostat.Choose(candidates, 0.66), 0);
  candidates = Load(logits);
  EXPECT_EQ(mirostat.Choose(candidates, 0.67), 1);
  EXPECT_EQ(candidates.List().size(), 2U);
  EXPECT_EQ(mirostat.mu(), 2.5);
  mirostat.Accept(1);
  EXPECT_NEAR(mirostat.mu(), 2.5 - 0.4 * (2 - 1.25), 1e-6);
}

TEST(MirostatTest, OtherTokensTeachNothing) {
  Mirostat mirostat(3, 0.1);
  mirostat.Accept(0);
  auto candidates = Load({1, 2, 3});
  const int32_t chosen = mirostat.Choose(candidates, 0.5);
  mirostat.Accept(chosen == 0 ? 1 : 0);
  mirostat.Accept(chosen);
  EXPECT_EQ(mirostat.mu(), 6.0);
}

TEST(MirostatTest, TheMostLikelyTokenStaysWhateverMuIs) {
  Mirostat mirostat(0, 0);
  auto candidates = Load({1, 1.5, 1});
  EXPECT_EQ(mirostat.Choose(candidates, 0.9), 1);
  EXPECT_EQ(candidates.List().size(), 1U);
  auto none = Load({std::numeric_limits<float>::quiet_NaN()});
  EXPECT_EQ(mirostat.Choose(none, 0.5), -1);
}

RC_GTEST_PROP(MirostatTest, FollowsTheAlgorithmStepByStep, ()) {
  const double tau = *rc::gen::inRange(0, 80) * 0.1;
  const double eta = *rc::gen::inRange(0, 100) * 0.01;
  Mirostat mirostat(tau, eta);
  double mu = 2 * tau;
  for (uint64_t step = 0; step < 20; ++step) {
    const auto raw = *rc::gen::container<std::vector<int>>(50, rc::gen::inRange(-100000, 100000));
    std::vector<float> logits;
    for (const int value : raw) logits.push_back(static_cast<float>(value) * 5e-5F);
    const auto whole = naive::FromLogits(logits);
    auto cut = whole;
    std::erase_if(cut.tokens, [&](const naive::Token& token) {
      return -std::log2(token.probability) > mu && token.logit < whole.tokens.front().logit;
    });
    auto candidates = Load(logits);
    const int32_t chosen = mirostat.Choose(candidates, base::RandomUniform(1, step));
    std::set<int32_t> kept;
    for (const Candidate& candidate : candidates.List()) kept.insert(candidate.id);
    RC_ASSERT(kept == cut.ids());
    const auto token = std::ranges::find(whole.tokens, chosen, &naive::Token::id);
    mu -= eta * (-std::log2(token->probability) - tau);
    mirostat.Accept(chosen);
    RC_ASSERT(std::abs(mirostat.mu() - mu) < 1e-6);
    mu = mirostat.mu();
  }
}

TEST(MirostatTest, HoldsTheMeanSurpriseAtTheTarget) {
  // Zipf's law over 5000 words, as in the paper. Its most likely word has a surprise of 3.18 bits, its entropy is 8.93
  // bits.
  std::vector<float> logits;
  for (int rank = 1; rank <= 5000; ++rank) logits.push_back(-std::log(static_cast<float>(rank)));
  const auto words = naive::FromLogits(logits).tokens;
  for (const double tau : {3.5, 5.0, 7.0}) {
    Mirostat mirostat(tau, 0.1);
    double surprise = 0;
    constexpr int kSteps = 3000;
    for (int step = 0; step < kSteps; ++step) {
      auto candidates = Load(logits);
      const int32_t chosen = mirostat.Choose(candidates, base::RandomUniform(7, static_cast<uint64_t>(step)));
      mirostat.Accept(chosen);
      surprise -= std::log2(words[static_cast<size_t>(chosen)].probability) / kSteps;
    }
    EXPECT_NEAR(surprise, tau, 0.05) << tau;
  }
}

}  // namespace
}  // namespace kvasir::sampling
