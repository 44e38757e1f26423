// Every technique against its definition by the book (naive_sampling.h), and on examples worked by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <functional>

#include "sampling/float_limits_testing.h"
#include "sampling/naive_sampling.h"
#include "sampling/registry.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<Stage> MakeStage(std::string_view name, const SamplingOptions& options, int32_t vocab_size,
                                 TokenText token_text = {}) {
  auto stage = FindStage(name)->create(options, {vocab_size, std::move(token_text)});
  EXPECT_TRUE(stage.has_value()) << stage.error().message;
  EXPECT_NE(*stage, nullptr) << name << " is off";
  return std::move(stage).value();
}

/// The ids that the stage leaves of `logits`.
std::set<int32_t> Kept(const Stage& stage, std::span<const float> logits, bool sparse = false) {
  Candidates candidates;
  candidates.Load(logits, {});
  if (sparse) (void)candidates.List();
  stage.Apply(candidates, {}, {});
  std::set<int32_t> ids;
  for (const Candidate& candidate : candidates.List()) ids.insert(candidate.id);
  return ids;
}

/// Logits whose softmax is `probabilities`.
std::vector<float> Logits(std::initializer_list<double> probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

/// Random logits, now and then with ties or impossible tokens.
std::vector<float> RandomLogits() {
  const auto size = *rc::gen::inRange<size_t>(1, 600);
  const auto spread = *rc::gen::inRange(1, 30);
  const auto step = *rc::gen::element(1, 1, 1, 100000);
  const auto raw = *rc::gen::container<std::vector<int>>(size, rc::gen::inRange(-1000000, 1000000));
  std::vector<float> logits;
  for (const int value : raw) {
    const bool impossible = value % 17 == 0 && !logits.empty();
    logits.push_back(impossible ? -kInf : static_cast<float>(value / step * step) * 1e-6F * static_cast<float>(spread));
  }
  return logits;
}

float RandomFraction() {
  return static_cast<float>(*rc::gen::inRange(1, 1000)) / 1000.0F;
}

/// Applies a stage, dense and sparse, and the definition, and compares what they leave.
void CompareSets(std::string_view name, const SamplingOptions& options, std::span<const float> logits,
                 const std::function<void(naive::Distribution&)>& define) {
  naive::Distribution expected = naive::FromLogits(logits);
  define(expected);
  RC_PRE(expected.slack > 1e-9);
  const auto stage = MakeStage(name, options, static_cast<int32_t>(logits.size()) + 1000);
  RC_ASSERT(Kept(*stage, logits, false) == expected.ids());
  RC_ASSERT(Kept(*stage, logits, true) == expected.ids());
}

RC_GTEST_PROP(StagesTest, TopKIsTheDefinition, ()) {
  SamplingOptions options;
  options.top_k = *rc::gen::inRange(1, 700);
  CompareSets("top_k", options, RandomLogits(), [&](auto& d) { naive::TopK(d, options.top_k); });
}

RC_GTEST_PROP(StagesTest, TopPIsTheDefinition, ()) {
  SamplingOptions options;
  options.top_p = RandomFraction();
  CompareSets("top_p", options, RandomLogits(), [&](auto& d) { naive::TopP(d, double{options.top_p}); });
}

RC_GTEST_PROP(StagesTest, MinPIsTheDefinition, ()) {
  SamplingOptions options;
  options.min_p = RandomFraction();
  CompareSets("min_p", options, RandomLogits(), [&](auto& d) { naive::MinP(d, double{options.min_p}); });
}

RC_GTEST_PROP(StagesTest, TypicalPIsTheDefinition, ()) {
  SamplingOptions options;
  options.typical_p = RandomFraction();
  CompareSets("typical_p", options, RandomLogits(), [&](auto& d) { naive::TypicalP(d, double{options.typical_p}); });
}

RC_GTEST_PROP(StagesTest, TopNSigmaIsTheDefinition, ()) {
  SamplingOptions options;
  options.top_n_sigma = 3 * RandomFraction();
  CompareSets("top_n_sigma", options, RandomLogits(),
              [&](auto& d) { naive::TopNSigma(d, double{options.top_n_sigma}); });
}

RC_GTEST_PROP(StagesTest, XtcIsTheDefinition, ()) {
  SamplingOptions options;
  options.xtc_probability = 1;
  options.xtc_threshold = RandomFraction() / 2;
  CompareSets("xtc", options, RandomLogits(), [&](auto& d) { naive::Xtc(d, double{options.xtc_threshold}); });
}

/// Compares logits after a stage that edits or scales them.
void CompareLogits(const Stage& stage, std::span<const float> logits, std::span<const int32_t> history,
                   const naive::Distribution& expected) {
  for (const bool sparse : {false, true}) {
    Candidates candidates;
    candidates.Load(logits, {});
    if (sparse) (void)candidates.List();
    stage.Apply(candidates, history, {});
    std::map<int32_t, double> actual;
    for (const Candidate& candidate : candidates.List()) actual[candidate.id] = double{candidate.logit};
    RC_ASSERT(actual.size() == expected.tokens.size());
    for (const naive::Token& token : expected.tokens) {
      RC_ASSERT(std::abs(actual.at(token.id) - token.logit) <= 1e-6 * std::max(1.0, std::abs(token.logit)));
    }
  }
}

RC_GTEST_PROP(StagesTest, TemperatureIsTheDefinition, ()) {
  SamplingOptions options;
  options.temperature = 0.0101F + 3 * RandomFraction();  // never 1, which is off
  const auto logits = RandomLogits();
  auto expected = naive::FromLogits(logits);
  naive::Temperature(expected, double{options.temperature});
  CompareLogits(*MakeStage("temperature", options, 1000), logits, {}, expected);
}

RC_GTEST_PROP(StagesTest, PenaltiesAreTheDefinition, ()) {
  SamplingOptions options;
  options.repeat_penalty = 0.5F + 1.001F * RandomFraction();
  options.presence_penalty = RandomFraction() - 0.5F;
  options.frequency_penalty = RandomFraction() - 0.5F;
  options.repeat_last_n = *rc::gen::element(-1, 1, 2, 5, 20, 64);
  const auto logits = RandomLogits();
  const auto vocab = static_cast<int32_t>(logits.size());
  const auto tokens = *rc::gen::container<std::vector<int32_t>>(rc::gen::inRange(0, std::min(vocab, 12)));
  const auto stage = MakeStage("penalties", options, vocab);
  for (size_t i = 1; i <= tokens.size(); ++i) stage->Accept(std::span(tokens).first(i));
  auto expected = naive::FromLogits(logits);
  naive::Penalties(expected, tokens, options.repeat_last_n, double{options.repeat_penalty},
                   double{options.presence_penalty}, double{options.frequency_penalty});
  CompareLogits(*stage, logits, tokens, expected);
  CompareLogits(*stage->Clone(), logits, tokens, expected);
}

const std::vector<std::string> kTexts = {"a", "b", "ab", "\n", "c:d", "<", "end>", "x", ""};

RC_GTEST_PROP(StagesTest, DryIsTheDefinition, ()) {
  SamplingOptions options;
  options.dry_multiplier = 0.1F + RandomFraction();
  options.dry_base = 1 + RandomFraction();
  options.dry_allowed_length = *rc::gen::inRange(0, 5);
  options.dry_penalty_last_n = *rc::gen::element(-1, 1, 3, 8, 20);
  options.dry_sequence_breakers = *rc::gen::elementOf(
      std::vector<std::vector<std::string>>{{}, {"\n", ":"}, {"<end>"}, {"ba", "xa"}, {"\n", "bab"}});
  const auto letters = *rc::gen::element(2, 4, 9);
  const auto tokens = *rc::gen::container<std::vector<int32_t>>(rc::gen::inRange(0, letters));
  const auto text_of = [](int32_t id) { return kTexts[static_cast<size_t>(id)]; };
  const auto stage = MakeStage("dry", options, static_cast<int32_t>(kTexts.size()), text_of);
  for (size_t i = 1; i <= tokens.size(); ++i) stage->Accept(std::span(tokens).first(i));

  const std::vector<float> logits(kTexts.size(), 1.0F);
  auto expected = naive::FromLogits(logits);
  const auto penalties =
      naive::DryPenalties(tokens, kTexts, options.dry_sequence_breakers, double{options.dry_multiplier},
                          double{options.dry_base}, options.dry_allowed_length, options.dry_penalty_last_n);
  for (naive::Token& token : expected.tokens) {
    if (const auto found = penalties.find(token.id); found != penalties.end()) token.logit -= found->second;
  }
  CompareLogits(*stage, logits, tokens, expected);
  CompareLogits(*stage->Clone(), logits, tokens, expected);
}

TEST(StagesByHandTest, TopPKeepsTheCrossingToken) {
  const auto logits = Logits({0.1, 0.5, 0.15, 0.25});
  SamplingOptions options;
  options.top_p = 0.6F;
  EXPECT_THAT(Kept(*MakeStage("top_p", options, 4), logits), ElementsAre(1, 3));
  options.top_p = 0.8F;
  EXPECT_THAT(Kept(*MakeStage("top_p", options, 4), logits), ElementsAre(1, 2, 3));
  options.top_p = 0;
  EXPECT_THAT(Kept(*MakeStage("top_p", options, 4), logits), ElementsAre(1));
}

TEST(StagesByHandTest, MinPIsRelativeToTheMostLikely) {
  const auto logits = Logits({0.5, 0.3, 0.12, 0.08});
  SamplingOptions options;
  options.min_p = 0.2F;  // the bar is 0.1
  EXPECT_THAT(Kept(*MakeStage("min_p", options, 4), logits), ElementsAre(0, 1, 2));
  options.min_p = 1;
  EXPECT_THAT(Kept(*MakeStage("min_p", options, 4), logits), ElementsAre(0));
}

TEST(StagesByHandTest, TypicalMayDropTheMostLikelyToken) {
  // H = 1.47 nats; surprises 0.69, 1.90 (five of 0.1 would be 2.30): the 0.15s are nearest to H, then 0.5 and 0.05.
  const auto logits = Logits({0.5, 0.15, 0.15, 0.15, 0.05});
  SamplingOptions options;
  options.typical_p = 0.4F;
  EXPECT_THAT(Kept(*MakeStage("typical_p", options, 5), logits), ElementsAre(1, 2, 3));
  options.typical_p = 0.5F;
  EXPECT_THAT(Kept(*MakeStage("typical_p", options, 5), logits), ElementsAre(0, 1, 2, 3));
}

TEST(StagesByHandTest, XtcSparesTheLeastLikelyOfTheTopChoices) {
  const auto logits = Logits({0.4, 0.3, 0.2, 0.06, 0.04});
  SamplingOptions options;
  options.xtc_probability = 1;
  options.xtc_threshold = 0.15F;
  EXPECT_THAT(Kept(*MakeStage("xtc", options, 5), logits), ElementsAre(2, 3, 4));
  options.xtc_threshold = 0.35F;  // only one is above: nothing happens
  EXPECT_THAT(Kept(*MakeStage("xtc", options, 5), logits), ElementsAre(0, 1, 2, 3, 4));
  options.xtc_threshold = 0.45F;
  EXPECT_THAT(Kept(*MakeStage("xtc", options, 5), logits), ElementsAre(0, 1, 2, 3, 4));
}

TEST(StagesByHandTest, XtcActsAsOftenAsAsked) {
  const auto logits = Logits({0.5, 0.4, 0.1});
  SamplingOptions options;
  options.xtc_probability = 0.3F;
  options.xtc_threshold = 0.2F;
  const auto stage = MakeStage("xtc", options, 3);
  int acted = 0;
  constexpr int kTrials = 20000;
  for (uint64_t position = 0; position < kTrials; ++position) {
    Candidates candidates;
    candidates.Load(logits, {});
    stage->Apply(candidates, {}, {.seed = 5, .position = position});
    acted += candidates.List().size() == 2 ? 1 : 0;
  }
  EXPECT_NEAR(acted / double{kTrials}, 0.3, 4 * std::sqrt(0.3 * 0.7 / kTrials));
}

TEST(StagesByHandTest, PenaltiesMovePositiveAndNegativeLogitsDown) {
  SamplingOptions options;
  options.repeat_penalty = 2;
  options.presence_penalty = 0.5F;
  options.frequency_penalty = 0.25F;
  options.repeat_last_n = 3;
  const auto stage = MakeStage("penalties", options, 4);
  const std::vector<int32_t> history = {3, 0, 1, 0};  // 3 has left the window
  for (size_t i = 1; i <= history.size(); ++i) stage->Accept(std::span(history).first(i));
  Candidates candidates;
  candidates.Load(std::vector<float>{4, -4, 1, 1}, {});
  stage->Apply(candidates, history, {});
  const auto& list = candidates.List();
  EXPECT_FLOAT_EQ(list[0].logit, 4.0F / 2 - 0.5F - 2 * 0.25F);
  EXPECT_FLOAT_EQ(list[1].logit, -4.0F * 2 - 0.5F - 0.25F);
  EXPECT_EQ(list[2].logit, 1.0F);
  EXPECT_EQ(list[3].logit, 1.0F);
}

/// The penalty that DRY gives to each of `vocab` tokens after `history`.
std::vector<float> DryPenalties(const SamplingOptions& options, const std::vector<int32_t>& history, int32_t vocab,
                                TokenText text_of) {
  const auto stage = MakeStage("dry", options, vocab, std::move(text_of));
  for (size_t i = 1; i <= history.size(); ++i) stage->Accept(std::span(history).first(i));
  Candidates candidates;
  candidates.Load(std::vector<float>(static_cast<size_t>(vocab), 0.0F), {});
  stage->Apply(candidates, history, {});
  std::vector<float> penalties;
  for (const Candidate& candidate : candidates.List()) penalties.push_back(-candidate.logit);
  return penalties;
}

TEST(StagesByHandTest, DryGrowsWithTheRepetitionAndStopsAtBreakers) {
  SamplingOptions options;
  options.dry_multiplier = 0.8F;
  options.dry_base = 2;
  options.dry_allowed_length = 2;
  options.dry_sequence_breakers = {"\n"};
  const auto text_of = [](int32_t id) { return std::string(id == 4 ? "\n" : "w"); };
  // 0 1 2 3 was said before; now 0 1 2: saying 3 would prolong a repetition of 3 tokens: 0.8 * 2^(3-2).
  EXPECT_THAT(DryPenalties(options, {0, 1, 2, 3, 3, 0, 1, 2}, 5, text_of), ElementsAre(0, 0, 0, 1.6F, 0));
  // A line break inside the repetition leaves only 1 2, of length 2: 0.8 * 2^0.
  EXPECT_THAT(DryPenalties(options, {0, 4, 1, 2, 3, 3, 0, 4, 1, 2}, 5, text_of), ElementsAre(0, 0, 0, 0.8F, 0));
  // Right after a line break nothing is a repetition.
  EXPECT_THAT(DryPenalties(options, {1, 2, 4, 3, 1, 2, 4}, 5, text_of), ElementsAre(0, 0, 0, 0, 0));
  // One letter over and over overlaps itself.
  EXPECT_THAT(DryPenalties(options, {1, 1, 1, 1}, 5, text_of), ElementsAre(0, 1.6F, 0, 0, 0));
}

TEST(StagesByHandTest, AnEndlessRepetitionGivesAHugeButFinitePenalty) {
  SamplingOptions options;
  options.dry_multiplier = 1;
  options.dry_base = 100;
  options.dry_sequence_breakers.clear();
  const auto penalties = DryPenalties(options, std::vector<int32_t>(2000, 0), 1, {});
  EXPECT_EQ(penalties, std::vector<float>{std::numeric_limits<float>::max()});
}

TEST(StagesByHandTest, DryWithBreakersNeedsTheTextOfTokens) {
  SamplingOptions options;
  options.dry_multiplier = 1;
  const auto stage = FindStage("dry")->create(options, {.vocab_size = 4, .token_text = {}});
  ASSERT_FALSE(stage.has_value());
  EXPECT_THAT(stage.error().message, ::testing::HasSubstr("dry_sequence_breakers"));
}

TEST(StagesByHandTest, LogitBiasAddsUpAndBans) {
  SamplingOptions options;
  options.logit_bias = {{0, 1.5F}, {0, 1.0F}, {1, -kInf}};
  Candidates candidates;
  candidates.Load(std::vector<float>{1, 100, 3}, {});
  MakeStage("logit_bias", options, 3)->Apply(candidates, {}, {});
  ASSERT_EQ(candidates.List().size(), 2U);
  EXPECT_EQ(candidates.List()[0].logit, 3.5F);
  EXPECT_EQ(candidates.List()[1].id, 2);
}

TEST(StagesTest, EveryStageIsOffWhereTheHeaderSaysSo) {
  SamplingOptions off;
  off.temperature = 1;
  off.top_k = 0;
  off.top_p = 1;
  off.min_p = 0;
  for (const StageInfo* info : AllStages()) {
    const auto stage = info->create(off, {.vocab_size = 10, .token_text = {}});
    ASSERT_TRUE(stage.has_value()) << info->name;
    EXPECT_EQ(*stage, nullptr) << info->name;
  }
}

}  // namespace
}  // namespace kvasir::sampling
