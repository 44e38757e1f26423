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
