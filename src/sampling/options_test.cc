// Validate and the text form of the order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "kvasir/sampling.h"
#include "sampling/float_limits_testing.h"

namespace kvasir {
namespace {

using sampling::kInf;
using sampling::kNan;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ValidateTest, TheDefaultsAreValidAndLlamaCpps) {
  const SamplingOptions options;
  EXPECT_TRUE(Validate(options, 32000).has_value());
  EXPECT_TRUE(Validate(options, 0).has_value());
  EXPECT_EQ(options.temperature, 0.8F);
  EXPECT_EQ(options.top_k, 40);
  EXPECT_EQ(options.top_p, 0.95F);
  EXPECT_EQ(options.min_p, 0.05F);
  EXPECT_EQ(options.repeat_last_n, 64);
  EXPECT_EQ(options.repeat_penalty, 1.0F);
}

/// An option set wrongly, and what the error must say.
struct BadCase {
  std::function<void(SamplingOptions&)> set;
  std::string field;
  std::string value;
  std::string allowed;
};

const std::vector<BadCase>& BadCases() {
  static const std::vector<BadCase> cases = {
      {[](auto& o) { o.temperature = -0.5F; }, "temperature", "-0.5", "from 0 to 100"},
      {[](auto& o) { o.temperature = kNan; }, "temperature", "nan", "from 0 to 100"},
      {[](auto& o) { o.temperature = kInf; }, "temperature", "inf", "from 0 to 100"},
      {[](auto& o) { o.top_k = -1; }, "top_k", "-1", "0 or more"},
      {[](auto& o) { o.top_p = 1.1F; }, "top_p", "1.1,", "from 0 to 1"},
      {[](auto& o) { o.top_p = kNan; }, "top_p", "nan", "from 0 to 1"},
      {[](auto& o) { o.min_p = -kInf; }, "min_p", "-inf", "from 0 to 1"},
      {[](auto& o) { o.typical_p = 2; }, "typical_p", "2", "from 0 to 1"},
      {[](auto& o) { o.top_n_sigma = -1; }, "top_n_sigma", "-1", "from 0 to 1000"},
      {[](auto& o) { o.xtc_probability = 7; }, "xtc_probability", "7", "from 0 to 1"},
      {[](auto& o) { o.xtc_threshold = kNan; }, "xtc_threshold", "nan", "from 0 to 1"},
      {[](auto& o) { o.dry_multiplier = -2; }, "dry_multiplier", "-2", "from 0 to 1000"},
      {[](auto& o) { o.dry_base = 0.5F; }, "dry_base", "0.5", "from 1 to 100"},
      {[](auto& o) { o.dry_allowed_length = -1; }, "dry_allowed_length", "-1", "0 or more"},
      {[](auto& o) { o.dry_penalty_last_n = -2; }, "dry_penalty_last_n", "-2", "-1 or more"},
      {[](auto& o) { o.dry_sequence_breakers = {"x", ""}; }, "dry_sequence_breakers[1]", "empty", "at least one"},
      {[](auto& o) { o.mirostat = 1; }, "mirostat", "1", "0 (off) or 2"},
      {[](auto& o) { o.mirostat_tau = kInf; }, "mirostat_tau", "inf", "from 0 to 100"},
      {[](auto& o) { o.mirostat_eta = 1.5F; }, "mirostat_eta", "1.5", "from 0 to 1"},
      {[](auto& o) { o.repeat_penalty = 0; }, "repeat_penalty", "0", "from 0.01 to 100"},
      {[](auto& o) { o.repeat_last_n = -2; }, "repeat_last_n", "-2", "-1 or more"},
      {[](auto& o) { o.presence_penalty = 101; }, "presence_penalty", "101", "from -100 to 100"},
      {[](auto& o) { o.frequency_penalty = kNan; }, "frequency_penalty", "nan", "from -100 to 100"},
      {[](auto& o) { o.logit_bias = {{1000, 1.0F}}; }, "logit_bias", "1000", "from 0 to 999"},
      {[](auto& o) { o.logit_bias = {{-1, 1.0F}}; }, "logit_bias", "-1", "from 0 to 999"},
      {[](auto& o) { o.logit_bias = {{3, kInf}}; }, "logit_bias of token 3", "inf", "minus infinity to ban"},
      {[](auto& o) { o.logit_bias = {{3, kNan}}; }, "logit_bias of token 3", "nan", "from -1000000 to 1000000"},
      {[](auto& o) { o.n_probs = 1001; }, "n_probs", "1001", "from 0 to 1000"},
      {[](auto& o) { o.order = {"top_k", "top_z"}; }, "order", "\"top_z\"", "typical_p, top_p"},
      {[](auto& o) { o.order = {"top_k", "top_k"}; }, "order", "top_k twice", "only once"},
  };
  return cases;
}

TEST(ValidateTest, EveryErrorNamesTheFieldTheValueAndWhatIsAllowed) {
  for (const BadCase& bad : BadCases()) {
    SamplingOptions options;
    bad.set(options);
    const Status status = Validate(options, 1000);
    ASSERT_FALSE(status.has_value()) << bad.field << " " << bad.value;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(status.error().message, AllOf(HasSubstr(bad.field), HasSubstr(bad.value), HasSubstr(bad.allowed)));
  }
}

TEST(ValidateTest, AcceptsTheEndsOfEachRange) {
  SamplingOptions options;
  options.temperature = 0;
  options.top_k = std::numeric_limits<int32_t>::max();
  options.top_p = 0;
  options.min_p = 1;
  options.typical_p = 0;
  options.repeat_last_n = -1;
  options.dry_penalty_last_n = -1;
  options.mirostat = 2;
  options.logit_bias = {{0, -kInf}, {999, 1e6F}};
  options.n_probs = 1000;
  options.order.clear();
  EXPECT_TRUE(Validate(options, 1000).has_value());
}

TEST(ValidateTest, BoundsThatNeedTheVocabularyWaitUntilItIsKnown) {
  SamplingOptions options;
  options.logit_bias = {{5000000, 1.0F}};
  options.n_probs = 5000000;
  EXPECT_TRUE(Validate(options, 0).has_value());
  EXPECT_FALSE(Validate(options, 1000).has_value());
  EXPECT_FALSE(Validate(SamplingOptions(), -1).has_value());
}

TEST(OrderTest, IsWrittenAndReadBack) {
  const auto order = DefaultSamplingOrder();
  const std::string text = FormatSamplingOrder(order);
  EXPECT_EQ(text, "logit_bias;penalties;dry;top_n_sigma;top_k;typical_p;top_p;min_p;xtc;temperature");
  EXPECT_EQ(*ParseSamplingOrder(text), order);
}

TEST(OrderTest, TakesOtherSpellingsAndSeparators) {
  EXPECT_THAT(*ParseSamplingOrder("temp, top-k ;typ_p\n nucleus"),
              ElementsAre("temperature", "top_k", "typical_p", "top_p"));
  EXPECT_TRUE(ParseSamplingOrder("")->empty());
  EXPECT_TRUE(ParseSamplingOrder(" ; ")->empty());
}

TEST(OrderTest, RefusesUnknownAndRepeatedNames) {
  const auto unknown = ParseSamplingOrder("top_k;tfs_z");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_THAT(unknown.error().message, AllOf(HasSubstr("\"tfs_z\""), HasSubstr("logit_bias, penalties, dry")));
  EXPECT_FALSE(ParseSamplingOrder("temp;temperature").has_value());
}

}  // namespace
}  // namespace kvasir
