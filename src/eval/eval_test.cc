#include "kvasir/eval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "kvasir/bench.h"
#include "model/tiny_model_test_support.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

EngineOptions Options(ComputeMode compute) {
  static const std::string path = model::TinyModel{}.Write("eval");
  return {.model = path, .compute = compute, .threads = 2};
}

EvalText Text(int context, int chunks) {
  EvalText text{.context = context, .max_chunks = chunks};
  for (int i = 0; i < 3000; ++i) text.text += static_cast<char>('a' + i * i % 26);
  return text;
}

TEST(EvalPerplexity, ScoresTheSecondHalfOfEveryChunk) {
  int calls = 0;
  const auto report = EvalPerplexity(Options(ComputeMode::kExact), Text(128, 3), [&](int done, int total, double) {
    EXPECT_EQ(done, ++calls);
    EXPECT_EQ(total, 3);
    return true;
  });
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->chunks, 3);
  EXPECT_EQ(report->tokens, 3 * (128 / 2 - 1));
  EXPECT_GT(report->perplexity, 1);
  EXPECT_LT(report->perplexity, 1e6);
  EXPECT_GT(report->standard_error, 0);
  ASSERT_TRUE(report->interval.has_value());
  EXPECT_LT(report->interval->low, report->perplexity);
  EXPECT_GT(report->interval->high, report->perplexity);
}

TEST(EvalPerplexity, NamesWhatDoesNotFit) {
  EXPECT_THAT(EvalPerplexity(Options(ComputeMode::kFast), Text(4, 0)).error().message, HasSubstr("4 tokens"));
  EvalText shorter = Text(512, 0);
  shorter.text.resize(600);
  EXPECT_THAT(EvalPerplexity(Options(ComputeMode::kFast), shorter).error().message, HasSubstr("1024"));
  const auto cancelled =
      EvalPerplexity(Options(ComputeMode::kFast), Text(128, 3), [](int, int, double) { return false; });
  EXPECT_EQ(cancelled.error().code, ErrorCode::kCancelled);
}

TEST(EvalDivergence, ExactModeDoesNotDivergeFromItself) {
  const auto report = EvalDivergence(Options(ComputeMode::kExact), Text(128, 2));
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->mean_kld, 0);
  EXPECT_EQ(report->max_kld, 0);
  EXPECT_EQ(report->same_top, 1);
  EXPECT_EQ(report->perplexity, report->exact_perplexity);
}

TEST(EvalDivergence, GrowsAsBitsGoAway) {
  const auto precise = EvalDivergence(Options(ComputeMode::kPrecise), Text(128, 2));
  const auto fast = EvalDivergence(Options(ComputeMode::kFast), Text(128, 2));
  ASSERT_TRUE(precise.has_value() && fast.has_value());
  EXPECT_GT(precise->mean_kld, 0);
  EXPECT_LT(precise->mean_kld, fast->mean_kld);
  EXPECT_LE(precise->median_kld, precise->p99_kld);
  EXPECT_LE(precise->p99_kld, precise->max_kld);
}

TEST(EvalDivergence, ComparesPerplexitiesOfTheSameTokens) {
  const auto report = EvalDivergence(Options(ComputeMode::kFast), Text(128, 3));
  ASSERT_TRUE(report.has_value());
  EXPECT_NEAR(report->perplexity_ratio, report->perplexity / report->exact_perplexity, 1e-12);
  const auto around = [](const std::optional<Interval>& interval, double value) {
    return interval && interval->low <= value && value <= interval->high && interval->low < interval->high;
  };
  EXPECT_TRUE(around(report->mean_kld_interval, report->mean_kld));
  EXPECT_TRUE(around(report->perplexity_interval, report->perplexity));
  EXPECT_TRUE(around(report->perplexity_ratio_interval, report->perplexity_ratio));
  EXPECT_FALSE(EvalDivergence(Options(ComputeMode::kFast), Text(128, 1))->mean_kld_interval.has_value());
}

TEST(EvalDivergence, PiecesOfTheLockstepDoNotMatter) {
  // The second half of 1000 tokens takes four pieces; perplexity is computed in one.
  const auto report = EvalDivergence(Options(ComputeMode::kFast), Text(1000, 2));
  const auto alone = EvalPerplexity(Options(ComputeMode::kFast), Text(1000, 2));
  ASSERT_TRUE(report.has_value() && alone.has_value());
  EXPECT_EQ(report->perplexity, alone->perplexity);
  EXPECT_EQ(report->tokens, alone->tokens);
}

TEST(EvalDepth, BucketsHoldEveryPositionOnce) {
  const auto by_position = EvalDepth(Options(ComputeMode::kFast), Text(128, 2), 1000);
  ASSERT_TRUE(by_position.has_value()) << by_position.error().message;
  ASSERT_EQ(by_position->buckets.size(), 127u);
  for (int i = 0; i < 127; ++i) {
    EXPECT_EQ(by_position->buckets[static_cast<size_t>(i)].first, i);
    EXPECT_EQ(by_position->buckets[static_cast<size_t>(i)].last, i);
    EXPECT_EQ(by_position->buckets[static_cast<size_t>(i)].tokens, 2);
  }
  const auto coarse = EvalDepth(Options(ComputeMode::kFast), Text(128, 2), 10);
  ASSERT_EQ(coarse->buckets.size(), 10u);
  int next = 0;
  double sum = 0;
  for (const DepthBucket& bucket : coarse->buckets) {
    EXPECT_EQ(bucket.first, next);
    double expected = 0;
    for (int i = bucket.first; i <= bucket.last; ++i) {
      expected += by_position->buckets[static_cast<size_t>(i)].mean_kld / (bucket.last - bucket.first + 1);
    }
    EXPECT_NEAR(bucket.mean_kld, expected, 1e-12);
    EXPECT_EQ(bucket.tokens, 2 * (bucket.last - bucket.first + 1));
    EXPECT_GE(bucket.p99_kld, bucket.mean_kld);
    EXPECT_TRUE(bucket.mean_kld_interval.has_value());
    sum += bucket.mean_kld * static_cast<double>(bucket.tokens);
    next = bucket.last + 1;
  }
  EXPECT_EQ(next, 127);
  EXPECT_NEAR(coarse->mean_kld, sum / static_cast<double>(coarse->tokens), 1e-12);
}

TEST(EvalDepth, AgreesWithTheDivergenceOfTheSecondHalf) {
  const auto by_position = EvalDepth(Options(ComputeMode::kFast), Text(128, 2), 127);
  const auto divergence = EvalDivergence(Options(ComputeMode::kFast), Text(128, 2));
  double sum = 0;
  for (size_t i = 64; i < 127; ++i) sum += by_position->buckets[i].mean_kld;
  EXPECT_NEAR(sum / 63, divergence->mean_kld, 1e-12);
}

TEST(EvalDepth, NamesWhatCannotBe) {
  EXPECT_THAT(EvalDepth(Options(ComputeMode::kFast), Text(128, 2), 0).error().message, HasSubstr("0 buckets"));
  EXPECT_THAT(EvalDepth(Options(ComputeMode::kFast), Text(4, 2), 4).error().message, HasSubstr("4 tokens"));
  const auto cancelled =
      EvalDepth(Options(ComputeMode::kFast), Text(128, 2), 4, [](int, int, double) { return false; });
  EXPECT_EQ(cancelled.error().code, ErrorCode::kCancelled);
}

TEST(EvalGolden, ExplainsBadReferences) {
  const std::string directory = testing::TempDir() + "golden";
  std::filesystem::create_directories(directory);
  const auto error_with = [&](const std::string& json) {
    std::ofstream(directory + "/golden.json") << json;
    return EvalGolden(Options(ComputeMode::kExact), directory).error().message;
  };
  EXPECT_THAT(EvalGolden(Options(ComputeMode::kExact), directory + "/none").error().message, HasSubstr("golden.json"));
  EXPECT_THAT(error_with("not json"), HasSubstr("JSON"));
  EXPECT_THAT(error_with(R"({"prompts": []})"), HasSubstr("no prompts"));
  EXPECT_THAT(error_with(R"({"prompts": [{"name": "a"}]})"), HasSubstr("tokens"));
  const std::string entry =
      R"({"prompts": [{"name": "a", "tokens": [5, 6], "nll": [1], "argmax": [1, 2], "positions": )";
  EXPECT_THAT(error_with(entry + R"([0], "vocab": 7}]})"), HasSubstr("another model"));
  EXPECT_THAT(error_with(entry + R"([9], "vocab": 259}]})"), HasSubstr("unequal length"));
  EXPECT_THAT(error_with(entry + R"([0], "vocab": 259}]})"), HasSubstr("a.logits.f16"));
}

TEST(RunBench, MeasuresEveryRowOfThePlan) {
  const BenchPlan plan{.prompts = {16}, .generates = {4}, .depths = {0, 100}, .repetitions = 2};
  const auto report = RunBench(Options(ComputeMode::kBalanced), plan);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  ASSERT_EQ(report->rows.size(), 4u);
  for (const BenchRow& row : report->rows) {
    EXPECT_GT(row.tokens_per_second, 0);
    EXPECT_LE(row.min_tokens_per_second, row.tokens_per_second);
    EXPECT_GE(row.max_tokens_per_second, row.tokens_per_second);
    EXPECT_GT(row.percent_of_limit, 0);
    EXPECT_LT(row.percent_of_limit, 100);
  }
  EXPECT_GT(report->limits.read_gb_per_second, 0);
  EXPECT_GT(report->limits.int8_tops, 0);
  EXPECT_GT(report->limits.fma_gflops, 0);
  EXPECT_THAT(RunBench(Options(ComputeMode::kFast), {.prompts = {4000}}).error().message, HasSubstr("4000"));
  EXPECT_THAT(RunBench(Options(ComputeMode::kFast), {.prompts = {-1}}).error().message, HasSubstr("-1"));
}

}  // namespace
}  // namespace kvasir
