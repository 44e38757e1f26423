#include "cli/sampling_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

namespace kvasir::cli {
namespace {

struct Parsed {
  SamplingOptions options;
  std::string error;
};

Parsed Parse(std::vector<std::string> arguments) {
  CLI::App app;
  Parsed parsed;
  AddSamplingFlags(app, parsed.options);
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    parsed.error = error.what();
  }
  return parsed;
}

TEST(SamplingFlags, EveryMemberHasAFlag) {
  const Parsed parsed = Parse({"--temp",
                               "0.7",
                               "--top-k",
                               "11",
                               "--top-p",
                               "0.8",
                               "--min-p",
                               "0.1",
                               "--typical",
                               "0.9",
                               "--top-n-sigma",
                               "2",
                               "--repeat-penalty",
                               "1.1",
                               "--repeat-last-n",
                               "-1",
                               "--presence-penalty",
                               "0.25",
                               "--frequency-penalty",
                               "-0.5",
                               "--dry-multiplier",
                               "0.8",
                               "--dry-base",
                               "2",
                               "--dry-allowed-length",
                               "3",
                               "--dry-penalty-last-n",
                               "99",
                               "--xtc-probability",
                               "0.5",
                               "--xtc-threshold",
                               "0.2",
                               "--mirostat",
                               "2",
                               "--mirostat-tau",
                               "4",
                               "--mirostat-eta",
                               "0.3",
                               "--seed",
                               "18446744073709551615",
                               "--samplers",
                               "top-k;temp",
                               "--logit-bias",
                               "5:-inf",
                               "--logit-bias",
                               "6+1.5",
                               "--dry-sequence-breaker",
                               "a",
                               "--dry-sequence-breaker",
                               "b"});
  EXPECT_EQ(parsed.error, "");
  const SamplingOptions& o = parsed.options;
  EXPECT_FLOAT_EQ(o.temperature, 0.7F);
  EXPECT_EQ(o.top_k, 11);
  EXPECT_FLOAT_EQ(o.top_p, 0.8F);
  EXPECT_FLOAT_EQ(o.min_p, 0.1F);
  EXPECT_FLOAT_EQ(o.typical_p, 0.9F);
  EXPECT_FLOAT_EQ(o.top_n_sigma, 2);
  EXPECT_FLOAT_EQ(o.repeat_penalty, 1.1F);
  EXPECT_EQ(o.repeat_last_n, -1);
  EXPECT_FLOAT_EQ(o.presence_penalty, 0.25F);
  EXPECT_FLOAT_EQ(o.frequency_penalty, -0.5F);
  EXPECT_FLOAT_EQ(o.dry_multiplier, 0.8F);
  EXPECT_FLOAT_EQ(o.dry_base, 2);
  EXPECT_EQ(o.dry_allowed_length, 3);
  EXPECT_EQ(o.dry_penalty_last_n, 99);
  EXPECT_FLOAT_EQ(o.xtc_probability, 0.5F);
  EXPECT_FLOAT_EQ(o.xtc_threshold, 0.2F);
  EXPECT_EQ(o.mirostat, 2);
  EXPECT_FLOAT_EQ(o.mirostat_tau, 4);
  EXPECT_FLOAT_EQ(o.mirostat_eta, 0.3F);
  EXPECT_EQ(o.seed, UINT64_MAX);
  EXPECT_EQ(o.order, (std::vector<std::string>{"top_k", "temperature"}));
  ASSERT_EQ(o.logit_bias.size(), 2U);
  EXPECT_EQ(o.logit_bias[0].first, 5);
  EXPECT_TRUE(std::isinf(o.logit_bias[0].second));
  EXPECT_FLOAT_EQ(o.logit_bias[1].second, 1.5F);
  EXPECT_EQ(o.dry_sequence_breakers, (std::vector<std::string>{"a", "b"}));
}

TEST(SamplingFlags, RangesAreThoseOfTheLibraryAndTheFlagIsNamed) {
  EXPECT_EQ(Parse({"--top-p", "1.5"}).error, "--top-p is 1.5, but it must be from 0 to 1");
  EXPECT_EQ(Parse({"--temp", "-1"}).error, "--temp is -1, but it must be from 0 to 100");
  EXPECT_EQ(Parse({"--temperature", "x"}).error, "--temp is 'x', but it must be a number such as 0.8");
  EXPECT_EQ(Parse({"--mirostat", "1"}).error, "--mirostat is 1, but it must be 0 (off) or 2 (version 2)");
  EXPECT_NE(Parse({"--top-k", "-5"}).error, "");
  EXPECT_NE(Parse({"--seed", "-1"}).error, "");
  EXPECT_NE(Parse({"--seed", "18446744073709551616"}).error, "");
  EXPECT_NE(Parse({"--samplers", "top_k;nonsense"}).error.find("nonsense"), std::string::npos);
}

TEST(SamplingFlags, GreedyIsTemperatureZero) {
  EXPECT_EQ(Parse({"--greedy"}).options.temperature, 0);
  EXPECT_NE(Parse({"--greedy", "--temp", "1"}).error, "");
}

TEST(SamplingFlags, NoBreakersAtAll) {
  EXPECT_TRUE(Parse({"--dry-sequence-breaker", "none"}).options.dry_sequence_breakers.empty());
  EXPECT_NE(Parse({"--dry-sequence-breaker", ""}).error, "");
}

TEST(SamplingFlags, LogitBias) {
  EXPECT_EQ(ParseLogitBias("42:-1.5").value(), std::pair(42, -1.5F));
  EXPECT_EQ(ParseLogitBias("42-1.5").value(), std::pair(42, -1.5F));
  EXPECT_EQ(ParseLogitBias("42+2").value(), std::pair(42, 2.0F));
  for (const char* wrong : {"", "42", ":", "42:", "42:x", "-1:2", "x:1", "42:nan", "99999999999:1"}) {
    EXPECT_FALSE(ParseLogitBias(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace kvasir::cli
