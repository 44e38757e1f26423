#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kvasir/eviction_eval.h"
#include "model/tiny_model_test_support.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

EngineOptions Options(const std::string& kv = "f16") {
  static const std::string path = model::TinyModel{}.Write("eviction-eval");
  return {.model = path, .kv = ParseKvSpec(kv).value(), .threads = 2};
}

EvictionPlan Plan(std::initializer_list<const char*> caches, int samples = 2) {
  EvictionPlan plan{
      .caches = {}, .text = {.text = {}, .context = 1024, .max_chunks = 2}, .ruler = {.samples = samples}};
  for (const char* cache : caches) plan.caches.push_back(ParseKvSpec(cache).value());
  for (int i = 0; i < 3000; ++i) plan.text.text += static_cast<char>('a' + i * i % 26);
  plan.ruler.tasks = {"niah_single_1", "niah_multikey_2"};
  plan.ruler.context = 1024;
  return plan;
}

TEST(EvalEviction, ForgettingNothingCostsNothingAndForgettingMoreCostsMore) {
  const auto report = EvalEviction(
      Options(), Plan({"f16,evict=tova,budget=100%", "f16,evict=recent,budget=60%", "f16,evict=recent,budget=192"}, 0));
  ASSERT_TRUE(report.has_value()) << report.error().message;
  ASSERT_EQ(report->rows.size(), 3u);
  EXPECT_EQ(report->rows[0].divergence.mean_kld, 0);
  EXPECT_EQ(report->rows[0].held, 1);
  EXPECT_EQ(report->rows[0].held_tokens, 1);
  EXPECT_NEAR(report->rows[1].held_tokens, 0.6, 0.001);
  EXPECT_EQ(report->rows[2].held_tokens, 0.25);  // 192 of 768
  EXPECT_GT(report->rows[1].divergence.mean_kld, 0);
  EXPECT_LT(report->rows[1].held, 1);
  EXPECT_LT(report->rows[2].held, report->rows[1].held);
  // All that lies behind three quarters of each chunk but its last token.
  EXPECT_EQ(report->rows[0].divergence.tokens, 2 * (1024 / 4 - 1));
  EXPECT_EQ(report->rows[0].divergence.chunks, 2);
  EXPECT_TRUE(report->rows[1].divergence.mean_kld_interval.has_value());
  EXPECT_NEAR(report->rows[1].divergence.exact_perplexity, report->rows[2].divergence.exact_perplexity, 1e-9);
  EXPECT_TRUE(report->whole.ruler.tasks.empty());
  EXPECT_TRUE(report->solved.empty());
}

// All layers count positions alike, so what the layers with a window see stays in all of them.
TEST(EvalEviction, SaysWhereMoreIsHeldThanWasAskedFor) {
  const auto report = EvalEviction(
      Options(),
      Plan({"f16,evict=streaming,budget=10%", "f16,evict=streaming,budget=192", "f16,evict=streaming,budget=50%"}, 0));
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->rows[0].held_tokens, 128.0 / 768);  // two pages and a window of 16 tokens, in whole pages
  EXPECT_EQ(report->rows[1].held_tokens, 0.25);
  EXPECT_EQ(report->rows[2].held_tokens, 0.5);
}

TEST(EvalEviction, LotsAreThoseOfTheSeed) {
  const auto report = EvalEviction(Options(), Plan({"f16,evict=random,budget=50%", "f16,evict=random,budget=50%,seed=2",
                                                    "f16,evict=random,budget=50%,seed=1"},
                                                   0));
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->rows[0].divergence.mean_kld, report->rows[2].divergence.mean_kld);
  EXPECT_NE(report->rows[0].divergence.mean_kld, report->rows[1].divergence.mean_kld);
}

TEST(EvalEviction, AnswersAreThoseOfEachCacheAlone) {
  for (const bool query_aware : {false, true}) {
    EvictionPlan plan =
        Plan({"f16,evict=snapkv,budget=50%", "f16,evict=h2o,budget=200", "f16,evict=streaming,budget=50%",
              "f16,evict=expected,budget=50%", "f16,evict=adakv,budget=40%"});
    plan.ruler.query_aware = query_aware;
    int calls = 0;
    const auto report = EvalEviction(Options(), plan, [&](int done, int total, double share) {
      EXPECT_EQ(done, ++calls);
      EXPECT_EQ(total, 2 + 2 * 2);
      EXPECT_EQ(share, static_cast<double>(done) / total);
      return true;
    });
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(calls, 6);
    const auto expect_same = [&](const KvSpec& kv, const RulerReport& got) {
      EngineOptions options = Options();
      options.kv = kv;
      const auto alone = EvalRuler(options, plan.ruler);
      ASSERT_TRUE(alone.has_value());
      ASSERT_EQ(got.tasks.size(), 2u);
      for (size_t t = 0; t < 2; ++t) {
        EXPECT_EQ(got.tasks[t].task, alone->tasks[t].task);
        ASSERT_EQ(got.tasks[t].samples.size(), 2u);
        for (size_t i = 0; i < 2; ++i) {
          EXPECT_EQ(got.tasks[t].samples[i].answer, alone->tasks[t].samples[i].answer) << KvSpecText(kv);
        }
      }
      EXPECT_EQ(got.score, alone->score);
    };
    expect_same(Options().kv, report->whole.ruler);
    for (const EvictionCost& row : report->rows) expect_same(row.kv, row.ruler);
  }
}

TEST(EvalEviction, NamesWhatCannotBeCompared) {
  EXPECT_THAT(EvalEviction(Options(), Plan({})).error().message, HasSubstr("no cache was named"));
  EXPECT_THAT(EvalEviction(Options(), Plan({"f16"})).error().message, HasSubstr("forgets nothing"));
  EXPECT_THAT(EvalEviction(Options("f16,evict=tova,budget=50%"), Plan({"f16,evict=tova,budget=50%"})).error().message,
              HasSubstr("it is no reference"));
  EXPECT_THAT(EvalEviction(Options(), Plan({"q8,evict=tova,budget=50%"})).error().message,
              HasSubstr("not stored like"));
  const auto cancelled =
      EvalEviction(Options(), Plan({"f16,evict=tova,budget=50%"}), [](int, int, double) { return false; });
  EXPECT_EQ(cancelled.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace kvasir
