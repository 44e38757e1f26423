#include "cli/limits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/answer_stats.h"

namespace kvasir::cli {
namespace {

constexpr MachineLimits kMachine = {.threads = 2, .read_gb_per_second = 20, .int8_tops = 1, .fma_gflops = 100};
constexpr TokenCost kModel = {.weight_bytes = 1e8, .multiply_adds = 1e8};

TEST(Limits, DecodeReadsWeightsAndCache) {
  EXPECT_DOUBLE_EQ(DecodeLimit(kMachine, kModel, 0), 200);
  EXPECT_DOUBLE_EQ(DecodeLimit(kMachine, kModel, 1e8), 100);
}

TEST(Limits, AShortPromptWaitsForMemoryAndALongOneForArithmetic) {
  // Reading the weights takes 5 ms, one token's multiply-adds 0.2 ms.
  EXPECT_DOUBLE_EQ(PromptLimit(kMachine, kModel, 1), 200);
  EXPECT_DOUBLE_EQ(PromptLimit(kMachine, kModel, 25), 5000);
  EXPECT_DOUBLE_EQ(PromptLimit(kMachine, kModel, 1000), 5000);
}

TEST(Limits, ExactModeIsBoundByFloatingPoint) {
  TokenCost exact = kModel;
  exact.exact = true;
  EXPECT_DOUBLE_EQ(PromptLimit(kMachine, exact, 1000), 500);
}

TEST(Limits, UnknownIsZero) {
  EXPECT_EQ(PromptLimit(kMachine, kModel, 0), 0);
  EXPECT_EQ(PromptLimit(MachineLimits{}, kModel, 10), 0);
  EXPECT_EQ(PromptLimit(kMachine, TokenCost{}, 10), 0);
  EXPECT_EQ(DecodeLimit(kMachine, TokenCost{}, 0), 0);
  EXPECT_EQ(PercentOf(10, 0), 0);
  EXPECT_DOUBLE_EQ(PercentOf(10, 40), 25);
}

TEST(Limits, OnlyMatricesOfLayersMultiply) {
  EXPECT_DOUBLE_EQ(MultiplyAdds({{"token_embd.weight", "F16", {64, 1000}, 0},
                                 {"blk.0.attn_q.weight", "Q4_1", {64, 32}, 0},
                                 {"blk.0.attn_norm.weight", "F32", {64}, 0},
                                 {"blk.11.ffn_up.weight", "Q4_1", {64, 256}, 0}}),
                   64.0 * 32 + 64.0 * 256);
}

TEST(AnswerStats, OneQuietLine) {
  AnswerStats stats{.prompt_tokens = 41,
                    .answer_tokens = 95,
                    .prompt_rate = 812.4,
                    .prompt_percent = 63.2,
                    .decode_rate = 88.12,
                    .decode_percent = 70.9,
                    .kv_bytes = 3'100'000,
                    .peak_bytes = 214'000'000};
  EXPECT_EQ(StatsLine(stats),
            "prompt 812 tok/s (63% of limit) · answer 88.1 tok/s (71%) · KV 3.10 MB · peak memory 214 MB");
  EXPECT_EQ(TokensText(stats), "41 tokens of prompt and 95 of answer");
  stats = {.prompt_tokens = 1, .cached_tokens = 40, .answer_tokens = 8, .decode_rate = 5, .kv_bytes = 10};
  EXPECT_EQ(StatsLine(stats), "answer 5.00 tok/s · KV 10 B · peak memory 0 B");
  EXPECT_EQ(TokensText(stats), "41 tokens of prompt, 40 of them from the cache, and 8 of answer");
  EXPECT_EQ(StatsLine({.kv_bytes = 10, .peak_bytes = 20}), "KV 10 B · peak memory 20 B");
}

TEST(AnswerStats, AShareThatIsNotKnownIsNullForPrograms) {
  const nlohmann::ordered_json json = StatsJson({.prompt_rate = 812, .decode_rate = 88, .decode_percent = 71});
  EXPECT_EQ(json["prompt_tokens_per_second"], 812);
  EXPECT_TRUE(json["prompt_percent_of_limit"].is_null());
  EXPECT_EQ(json["decode_percent_of_limit"], 71);
}

TEST(AnswerStats, TheLineFitsAHundredColumns) {
  const AnswerStats stats{.prompt_rate = 98765,
                          .prompt_percent = 100,
                          .decode_rate = 9876,
                          .decode_percent = 100,
                          .kv_bytes = 98'700'000'000,
                          .peak_bytes = 98'700'000'000};
  const std::string line = StatsLine(stats);
  const auto continuation = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; };
  EXPECT_LE(line.size() - static_cast<size_t>(std::count_if(line.begin(), line.end(), continuation)), 100U) << line;
}

}  // namespace
}  // namespace kvasir::cli
