#include "kvasir/ruler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/tiny_model_test_support.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

EngineOptions Options(const char* kv = "auto") {
  static const std::string path = model::TinyModel{}.Write("ruler");
  return {.model = path, .compute = ComputeMode::kFast, .kv = ParseKvSpec(kv).value(), .threads = 2};
}

RulerPlan Plan(std::vector<std::string> tasks, int samples) {
  return {.context = 1024, .tasks = std::move(tasks), .samples = samples};
}

TEST(ParseRulerTasks, TakesNamesAndGroupsInRulersOrder) {
  EXPECT_EQ(ParseRulerTasks("all")->size(), RulerTasks().size());
  EXPECT_EQ(RulerTasks().size(), 11u);
  EXPECT_THAT(*ParseRulerTasks("vt,niah_single"), ElementsAre("niah_single_1", "niah_single_2", "niah_single_3", "vt"));
  EXPECT_THAT(*ParseRulerTasks("cwe,cwe"), ElementsAre("cwe"));
  EXPECT_EQ(ParseRulerTasks("niah")->size(), 8u);
  for (const char* wrong : {"", "niah_", "nia", "vt,", "squad", "niah_single_1_"}) {
    EXPECT_THAT(ParseRulerTasks(wrong).error().message, HasSubstr("niah_single_1, niah_single_2")) << wrong;
  }
}

TEST(EvalRuler, AsksEverySampleWithEveryCache) {
  for (const char* kv : {"f32", "f16", "q8", "ch4"}) {
    int calls = 0;
    const auto report =
        EvalRuler(Options(kv), Plan({"niah_single_1", "niah_multikey_2"}, 3), [&](int done, int total, double) {
          EXPECT_EQ(done, ++calls);
          EXPECT_EQ(total, 6);
          return true;
        });
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(calls, 6);
    ASSERT_EQ(report->tasks.size(), 2u);
    EXPECT_TRUE(report->interval.has_value());
    EXPECT_FALSE(report->chat_template);
    EXPECT_THAT(report->configuration, HasSubstr(kv));
    for (const RulerTaskReport& task : report->tasks) {
      ASSERT_EQ(task.samples.size(), 3u);
      EXPECT_EQ(task.score, 0);  // random weights find nothing
      for (const RulerSample& sample : task.samples) {
        EXPECT_LE(sample.prompt_tokens, 1024 - 128);
        EXPECT_GT(sample.context_tokens, sample.prompt_tokens / 2);
        EXPECT_LT(sample.context_tokens, sample.prompt_tokens);
        ASSERT_EQ(sample.expected.size(), 1u);
        EXPECT_FALSE(sample.expected[0].found);
        EXPECT_GE(sample.expected[0].depth, 0);
      }
    }
  }
}

TEST(EvalRuler, TheSeedDecidesWhateverElseIsAsked) {
  const auto alone = EvalRuler(Options(), Plan({"niah_single_2"}, 1));
  const auto beside = EvalRuler(Options(), Plan({"niah_single_1", "niah_single_2"}, 2));
  RulerPlan other_seed = Plan({"niah_single_2"}, 1);
  other_seed.seed = 2;
  const auto other = EvalRuler(Options(), other_seed);
  const RulerSample& first = alone->tasks[0].samples[0];
  const RulerSample& second = beside->tasks[1].samples[0];
  EXPECT_EQ(first.expected[0].text, second.expected[0].text);
  EXPECT_EQ(first.prompt_tokens, second.prompt_tokens);
  EXPECT_EQ(first.answer, second.answer);
  EXPECT_NE(first.expected[0].text, other->tasks[0].samples[0].expected[0].text);
}

TEST(EvalRuler, WithoutCompressionTheCutMakesNoDifference) {
  RulerPlan plan = Plan({"niah_single"}, 1);
  const auto unaware = EvalRuler(Options(), plan);
  plan.query_aware = true;
  const auto aware = EvalRuler(Options(), plan);
  ASSERT_TRUE(unaware.has_value() && aware.has_value());
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(unaware->tasks[i].samples[0].answer, aware->tasks[i].samples[0].answer);
    EXPECT_FALSE(unaware->tasks[i].samples[0].answer.empty());
  }
}

TEST(EvalRuler, TheHaystackIsTheUsers) {
  RulerPlan plan = Plan({"niah_single_2"}, 1);
  const int built_in = EvalRuler(Options(), plan)->tasks[0].samples[0].prompt_tokens;
  plan.haystack = "Only this one.";
  const auto own = EvalRuler(Options(), plan);
  ASSERT_TRUE(own.has_value());
  EXPECT_NE(own->tasks[0].samples[0].prompt_tokens, built_in);
}

TEST(EvalRuler, NamesWhatCannotBe) {
  EXPECT_THAT(EvalRuler(Options(), Plan({"squad"}, 1)).error().message, HasSubstr("'squad'"));
  EXPECT_THAT(EvalRuler(Options(), Plan({}, 0)).error().message, HasSubstr("0 samples"));
  EXPECT_THAT(EvalRuler(Options(), Plan({"vt"}, 1)).error().message, HasSubstr("vt does not fit a context of 1024"));
  RulerPlan empty = Plan({"vt"}, 1);
  empty.haystack = " ... ";
  EXPECT_THAT(EvalRuler(Options(), empty).error().message, HasSubstr("no sentence"));
  const auto cancelled = EvalRuler(Options(), Plan({"niah_single_1"}, 2), [](int, int, double) { return false; });
  EXPECT_EQ(cancelled.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace kvasir
