#include "kvasir/tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "eval/decode_race.h"
#include "model/tiny_model_test_support.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kContext = 640;

// No layer has a window, so that every layer has pages to encode.
EngineOptions Options() {
  static const std::string path =
      model::TinyModel{.architecture = "llama", .layers = 2, .head_dim = 64, .window = 0}.Write("tune");
  return {.model = path, .compute = ComputeMode::kFast, .threads = 2};
}

EvalText Text(int chunks) {
  EvalText text{.context = kContext, .max_chunks = chunks};
  for (int i = 0; i < 6000; ++i) text.text += static_cast<char>('a' + i * i % 26);
  return text;
}

std::vector<KvSpec> Caches(std::initializer_list<const char*> texts) {
  std::vector<KvSpec> caches;
  for (const char* text : texts) caches.push_back(ParseKvSpec(text).value());
  return caches;
}

TEST(EvalDivergences, AreThoseOfEachCacheAlone) {
  for (const ComputeMode compute : {ComputeMode::kFast, ComputeMode::kExact}) {
    EngineOptions options = Options();
    options.compute = compute;
    const std::vector<KvSpec> caches = Caches({"q8", "auto", "ch3,recent=64", "f16,evict=streaming,budget=192"});
    const auto together = EvalDivergences(options, caches, Text(2));
    ASSERT_TRUE(together.has_value()) << together.error().message;
    ASSERT_EQ(together->size(), caches.size());
    for (size_t i = 0; i < caches.size(); ++i) {
      options.kv = caches[i];
      const auto alone = EvalDivergence(options, Text(2));
      ASSERT_TRUE(alone.has_value()) << alone.error().message;
      EXPECT_EQ((*together)[i].mean_kld, alone->mean_kld) << KvSpecText(caches[i]);
      EXPECT_EQ((*together)[i].perplexity, alone->perplexity);
      EXPECT_EQ((*together)[i].exact_perplexity, alone->exact_perplexity);
      EXPECT_EQ((*together)[i].max_kld, alone->max_kld);
    }
    EXPECT_NE((*together)[0].mean_kld, (*together)[2].mean_kld);
    if (compute == ComputeMode::kExact) {
      EXPECT_EQ((*together)[1].mean_kld, 0);
    }
  }
  EXPECT_THAT(EvalDivergences(Options(), {}, Text(2)).error().message, HasSubstr("no cache"));
}

TEST(TuneCandidates, AreSpecificationsOfEveryKind) {
  const auto plain = TuneCandidates(false);
  const auto with_layers = TuneCandidates(true);
  EXPECT_EQ(KvSpecText(plain.front()), "f16");
  EXPECT_GT(with_layers.size(), plain.size());
  EXPECT_TRUE(std::ranges::none_of(plain, [](const KvSpec& kv) { return kv.bits > 0 || kv.evicts(); }));
  EXPECT_TRUE(std::ranges::any_of(with_layers, [](const KvSpec& kv) { return kv.bits > 0; }));
  const auto evicting = EvictingCandidates("snapkv");
  ASSERT_TRUE(evicting.has_value());
  for (const KvSpec& kv : *evicting) EXPECT_EQ(kv.evict, "snapkv");
  EXPECT_THAT(EvictingCandidates("lru").error().message, HasSubstr("names no policy: there are streaming"));
}

TEST(Tune, MeasuresAllAndChoosesTheFewestBytes) {
  TuneOptions options{.engine = Options(),
                      .text = Text(3),
                      .goal = {.max_kld = 10},
                      .caches = Caches({"f16", "q8", "ch3", "q8,evict=streaming,budget=192"})};
  double last = 0;
  int costs = 0;
  const auto report = Tune(options, {.on_cost =
                                         [&](const TuneCost& cost) {
                                           ++costs;
                                           EXPECT_EQ(cost.caches, 4);
                                           EXPECT_EQ(cost.chunks, 3);
                                           EXPECT_GT(cost.seconds, 0);
                                         },
                                     .on_step =
                                         [&](const TuneStep& step) {
                                           EXPECT_GE(step.share, last);
                                           EXPECT_LE(step.share, 1);
                                           last = step.share;
                                           return true;
                                         }});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(costs, 1);
  EXPECT_EQ(report->chunks, 3);
  EXPECT_EQ(report->quality_compute, ComputeMode::kPrecise);
  EXPECT_EQ(report->speed_compute, ComputeMode::kFast);
  EXPECT_FALSE(report->interrupted);
  ASSERT_EQ(report->rows.size(), 4u);
  for (const TuneRow& row : report->rows) {
    if (row.fate != TuneFate::kMeasured) continue;  // dominated: a tiny model's chance
    EXPECT_EQ(row.divergence.chunks, 3);
    EXPECT_GT(row.tokens_per_second, 0);
    EXPECT_LE(row.min_tokens_per_second, row.tokens_per_second);
    EXPECT_GE(row.max_tokens_per_second, row.tokens_per_second);
  }
  EXPECT_EQ(report->rows[0].size.bits_per_element, 16);
  EXPECT_EQ(report->rows[1].size.bits_per_element, 8.5);
  EXPECT_EQ(report->rows[1].held_bytes, report->rows[1].size.bytes);
  EXPECT_LT(report->rows[3].held_bytes, report->rows[1].held_bytes);  // half of it was forgotten
  ASSERT_TRUE(report->chosen.has_value());
  for (const TuneRow& row : report->rows) {
    if (row.fate != TuneFate::kMeasured) continue;
    EXPECT_GE(row.held_bytes, report->rows[*report->chosen].held_bytes);
  }
}

TEST(Tune, QualityIsTheCachesAlone) {
  TuneOptions options{.engine = Options(), .text = Text(2), .goal = {.max_kld = 10}, .caches = Caches({"f16", "q8"})};
  const auto report = Tune(options);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EngineOptions precise = Options();
  precise.compute = ComputeMode::kPrecise;
  const auto expected = EvalDivergences(precise, options.caches, options.text);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(report->rows[i].divergence.mean_kld, (*expected)[i].mean_kld);
  options.engine.compute = ComputeMode::kExact;
  const auto exact = Tune(options);
  ASSERT_TRUE(exact.has_value());
  EXPECT_EQ(exact->quality_compute, ComputeMode::kExact);
  EXPECT_GT(exact->rows[0].tokens_per_second, 0);  // of the same engine
}

TEST(Tune, WhatCannotFitIsNotMeasured) {
  TuneOptions options{.engine = Options(), .text = Text(2), .goal = {.kv_bytes = 1}, .caches = Caches({"f16", "q8"})};
  const auto none = Tune(options);
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(none.error().message, HasSubstr("the smallest, q8, needs"));
  EngineOptions sized = options.engine;
  sized.context_tokens = kContext;
  const auto sizes = InspectCaches(sized, options.caches);
  ASSERT_TRUE(sizes.has_value());
  options.goal.kv_bytes = (*sizes)[1].peak_bytes;
  const auto report = Tune(options);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->rows[0].fate, TuneFate::kTooLarge);
  EXPECT_EQ(report->rows[0].divergence.chunks, 0);
  EXPECT_EQ(report->chosen, 1u);
}

TEST(Tune, StoppingKeepsWholeChunks) {
  const TuneOptions options{
      .engine = Options(), .text = Text(5), .goal = {.max_kld = 10}, .caches = Caches({"f16", "q8"})};
  bool stop_early = false;
  const TuneCallbacks callbacks{.on_cost = {}, .on_step = [&](const TuneStep& step) {
                                  return step.what.find(stop_early ? "chunk 1" : "chunk 4") == std::string::npos;
                                }};
  const auto report = Tune(options, callbacks);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_TRUE(report->interrupted);
  EXPECT_EQ(report->chunks, 3);
  EXPECT_TRUE(report->chosen.has_value());
  const auto whole = EvalDivergences(
      [] {
        EngineOptions precise = Options();
        precise.compute = ComputeMode::kPrecise;
        return precise;
      }(),
      options.caches, Text(3));
  EXPECT_EQ(report->rows[1].divergence.mean_kld, (*whole)[1].mean_kld);
  stop_early = true;
  EXPECT_EQ(Tune(options, callbacks).error().code, ErrorCode::kCancelled);
}

TEST(Tune, NamesWhatCannotBe) {
  const auto error = [](TuneGoal goal, int chunks, std::vector<KvSpec> caches) {
    return Tune({.engine = Options(), .text = Text(chunks), .goal = goal, .caches = std::move(caches)}).error().message;
  };
  EXPECT_THAT(error({}, 2, Caches({"q8"})), HasSubstr("give one of them"));
  EXPECT_THAT(error({.max_kld = 1, .kv_bytes = 1}, 2, Caches({"q8"})), HasSubstr("give one of them"));
  EXPECT_THAT(error({.max_kld = 0}, 2, Caches({"q8"})), HasSubstr("must be above 0"));
  EXPECT_THAT(error({.max_kld = 1}, 1, Caches({"q8"})), HasSubstr("at least two"));
  EXPECT_THAT(error({.max_kld = 1}, 2, {}), HasSubstr("no cache"));
  EXPECT_THAT(error({.max_kld = 1}, 2, Caches({"ch4,k[9]=ch2"})), HasSubstr("speaks of layer 9"));
}

TEST(SpeedOf, IsTheMiddleOfTheTurns) {
  const std::vector<double> turns = {5, 1, 9, 4, 7};
  const eval::DecodeSpeed speed = eval::SpeedOf(turns);
  EXPECT_EQ(speed.median, 5);
  EXPECT_EQ(speed.slowest, 1);
  EXPECT_EQ(speed.fastest, 9);
  EXPECT_EQ(eval::MedianSpeed({}), 0);
}

}  // namespace
}  // namespace kvasir
