#include "kvcache/eviction_driver.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "kvcache/eviction_policies.h"
#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {
namespace {

using Places = std::vector<int32_t>;

TEST(ChoosePlacesTest, SinksStayAndTheHighestOfTheRest) {
  const Places positions = {0, 2, 3, 10, 20, 30, 40};
  const std::vector<float> scores = {-9, -9, -9, 1, 5, 3, 2};
  EXPECT_EQ(ChoosePlaces(positions, scores, 4, 2), (Places{0, 1, 2, 4, 5}));
  EXPECT_EQ(ChoosePlaces(positions, scores, 0, 2), (Places{4, 5}));
  EXPECT_EQ(ChoosePlaces(positions, scores, 4, 0), (Places{0, 1, 2}));
  EXPECT_EQ(ChoosePlaces(positions, scores, 4, -3), (Places{0, 1, 2}));
  EXPECT_EQ(ChoosePlaces(positions, scores, 4, 99).size(), positions.size());
  EXPECT_TRUE(ChoosePlaces({}, {}, 4, 3).empty());
}

TEST(ChoosePlacesTest, TiesGoToTheLaterAndWhatIsNoNumberIsLast) {
  const Places positions = {10, 11, 12, 13};
  EXPECT_EQ(ChoosePlaces(positions, std::vector<float>{1, 1, 1, 1}, 0, 2), (Places{2, 3}));
  EXPECT_EQ(ChoosePlaces(positions, std::vector<float>{-1e30F, NAN, -2e30F, NAN}, 0, 2), (Places{0, 2}));
}

// Scores by what a test says.
class FixedScores final : public EvictionPolicy {
 public:
  explicit FixedScores(std::function<float(int head, int32_t position)> score) : score_(std::move(score)) {}
  std::string_view name() const override { return "fixed"; }
  std::string_view about() const override { return "for tests"; }
  EvictionNeeds needs() const override { return {.attention_mass = true}; }
  void Score(const HeadEvidence& head, std::span<float> scores) const override {
    // All tokens are shown with their keys (which say their position) and records, the open page included.
    EXPECT_EQ(head.positions.size() * 16, head.keys.size());
    EXPECT_EQ(head.positions.size(), head.attention_mass.size());
    EXPECT_EQ(head.length, 1000);
    EXPECT_EQ(head.positions.back(), 999);
    for (size_t i = 0; i < head.positions.size(); ++i) {
      EXPECT_EQ(head.keys[i * 16], static_cast<float>(head.positions[i]));
      EXPECT_EQ(head.values[i * 16], static_cast<float>(head.positions[i]));
    }
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = score_(head.kv_head, head.positions[i]);
  }

 private:
  std::function<float(int head, int32_t position)> score_;
};

class Records final : public EvictionRecords {
 public:
  HeadRecord Read(int /*layer*/, int /*kv_head*/) override { return {.attention_mass = mass}; }
  void Keep(int layer, std::span<const int> candidates, std::span<const Places> kept) override {
    candidates_of[layer] = {candidates.begin(), candidates.end()};
    kept_of[layer] = {kept.begin(), kept.end()};
  }
  std::vector<float> mass = std::vector<float>(1000);
  std::map<int, std::vector<int>> candidates_of;
  std::map<int, std::vector<Places>> kept_of;
};

class EvictToBudgetTest : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<KnownToken> tokens;
    std::vector<int32_t> ids(1000, 5);
    for (int i = 0; i < 1000; ++i) tokens.push_back({.id = 5, .serial = i});
    ASSERT_TRUE(sequence_.Extend(ids).has_value());
    WriteStep(sequence_, tokens);
    sequence_.Commit();
    sequence_.ReleaseOutsideWindow();
  }
  Status Evict(const EvictionPolicy& policy, int budget) {
    return EvictToBudget(sequence_, policy, traits_, budget, &records_, threads_);
  }
  std::vector<int32_t> Held(int layer, int head) const { return sequence_.HeldPositions(layer, head, 16); }

  const KvShape shape_ = {.layers = 3, .kv_heads = 2, .head_dim = 16, .windows = {0, 100, 0}};
  std::unique_ptr<PagePool> pool_ = PagePool::Create(16 << 20).value();
  KvSequence sequence_ =
      KvSequence::Create(*pool_, shape_, {.format = kernels::PageFormat::kF32, .recent = 10}).value();
  AttentionTraits traits_ = {.heads = 4, .ropes = {{.frequencies = {1.0}}}, .rope_of_layer = {0, 0, 0}};
  Records records_;
  base::ThreadPool threads_{2};
};

TEST_F(EvictToBudgetTest, EachHeadHoldsTheBudgetAndMemoryIsFree) {
  const FixedScores policy(
      [](int head, int32_t position) { return static_cast<float>(head == 0 ? position % 7 : -position); });
  ASSERT_TRUE(Evict(policy, 300).has_value());
  EXPECT_TRUE(sequence_.CheckIntegrity().has_value());
  // 14 blocks lie 64 tokens before the end; the other 104 tokens are recent.
  EXPECT_EQ(Held(0, 0).size(), 300u);
  EXPECT_EQ(Held(2, 1).size(), 300u);
  Places first(196);
  std::iota(first.begin(), first.end(), 0);
  const Places held = Held(0, 1);
  EXPECT_EQ(Places(held.begin(), held.begin() + 196), first);
  EXPECT_TRUE(sequence_.evicted());
  // 196 tokens are 4 pages, the recent ones 2; the window's layer is as it was: tokens 901 on, and those of their page.
  EXPECT_EQ(sequence_.bytes(), (4 * (4 + 2) + 2 * 2) * kernels::PageBytes(kernels::PageFormat::kF32, 16));
  EXPECT_EQ(pool_->stats().live_bytes, sequence_.bytes());
  // The records were told.
  EXPECT_EQ(records_.kept_of.size(), 2u);
  EXPECT_EQ(records_.candidates_of[2], (std::vector<int>{896, 896}));
  EXPECT_EQ(records_.kept_of[2][1], first);
}

TEST_F(EvictToBudgetTest, ABudgetThatIsMetChangesNothing) {
  const FixedScores policy([](int, int32_t) { return 0.0F; });
  const size_t bytes = sequence_.bytes();
  ASSERT_TRUE(Evict(policy, 1000).has_value());
  EXPECT_FALSE(sequence_.evicted());
  EXPECT_EQ(sequence_.bytes(), bytes);
  EXPECT_TRUE(records_.kept_of.empty());
}

TEST_F(EvictToBudgetTest, SinksAndRecentTokensStayEvenBeyondTheBudget) {
  const FixedScores policy([](int, int32_t position) { return position < 4 ? -1.0F : 1.0F; });
  ASSERT_TRUE(Evict(policy, 10).has_value());
  EXPECT_EQ(Held(0, 0).size(), 4u + 104u);
  EXPECT_EQ(Held(0, 0)[3], 3);
}

TEST_F(EvictToBudgetTest, HeadsAndLayersMayHaveBudgetsOfTheirOwn) {
  class Uneven final : public EvictionPolicy {
   public:
    std::string_view name() const override { return "uneven"; }
    std::string_view about() const override { return "for tests"; }
    int LayerBudget(int budget, int32_t length, int index, int layers) const override {
      EXPECT_EQ(length, 1000);
      EXPECT_EQ(layers, 2);
      return index == 0 ? budget + 50 : budget - 50;
    }
    void Score(const HeadEvidence& head, std::span<float> scores) const override {
      for (float& score : scores) score = static_cast<float>(head.kv_head);
    }
    std::vector<int> DivideHeads(std::span<const std::vector<float>> heads, int each) const override {
      EXPECT_EQ(heads[0].size(), 892u);  // sinks are not ranked
      return {each - 30, each + 30};
    }
  } policy;
  ASSERT_TRUE(Evict(policy, 300).has_value());
  EXPECT_EQ(Held(0, 0).size(), 320u);
  EXPECT_EQ(Held(0, 1).size(), 380u);
  EXPECT_EQ(Held(2, 0).size(), 220u);
  EXPECT_EQ(Held(2, 1).size(), 280u);
  // What a division gave one head is not taken away the next time.
  ASSERT_TRUE(Evict(policy, 300).has_value());
  EXPECT_EQ(Held(0, 1).size(), 380u);
  EXPECT_TRUE(sequence_.CheckIntegrity().has_value());
}

TEST_F(EvictToBudgetTest, WithoutMemoryForCopiesALayerStaysWhole) {
  const FixedScores policy([](int, int32_t) { return 0.0F; });
  const size_t page = kernels::PageBytes(kernels::PageFormat::kF32, 16);
  std::vector<Page> others;
  while (true) {
    auto other = pool_->Allocate(page);
    if (!other) break;
    others.push_back(std::move(*other));
  }
  const Status status = Evict(policy, 500);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kResourceExhausted);
  EXPECT_FALSE(sequence_.evicted());
  EXPECT_TRUE(sequence_.CheckIntegrity().has_value());
  others.clear();
  ASSERT_TRUE(Evict(policy, 500).has_value());
  EXPECT_EQ(Held(0, 0).size(), 500u);
}

// Keys as a model would write them: the same key, turned by its position, differently in the two layers.
class RenumberTest : public testing::Test {
 protected:
  using Key = std::vector<double>;

  static Key Turned(int layer, int32_t position) {
    const KeyRope& rope = kTraits.ropes[static_cast<size_t>(layer)];
    Key key(16);
    for (size_t i = 0; i < key.size(); ++i) key[i] = 1 + static_cast<double>(i) / 16;
    for (size_t i = 0; i < rope.frequencies.size(); ++i) {
      const size_t a = rope.neox ? i : 2 * i;
      const size_t b = rope.neox ? i + rope.frequencies.size() : 2 * i + 1;
      const double angle = position * rope.frequencies[i];
      const double x = key[a], y = key[b];
      key[a] = rope.magnitude * (x * std::cos(angle) - y * std::sin(angle));
      key[b] = rope.magnitude * (y * std::cos(angle) + x * std::sin(angle));
    }
    return key;
  }
  static void Grow(KvSequence& sequence, int count, int32_t first_token) {
    std::vector<int32_t> ids(static_cast<size_t>(count));
    std::iota(ids.begin(), ids.end(), first_token);
    ASSERT_TRUE(sequence.Extend(ids).has_value());
    const KvView view = sequence.View();
    const auto store = kernels::TableOf(kernels::Isa::kRef).store_kv[static_cast<size_t>(view.format)];
    for (int layer = 0; layer < 2; ++layer) {
      for (int i = 0; i < count; ++i) {
        const Key key = Turned(layer, view.first_new_position + i);
        const std::vector<float> floats(key.begin(), key.end());
        const std::vector<float> value(16, static_cast<float>(ids[static_cast<size_t>(i)]));
        const WriteSlot slot = view.slot(layer, 0, i);
        store(slot.page, 16, slot.slot, floats.data(), value.data());
      }
    }
    sequence.Commit();
    sequence.ReleaseOutsideWindow();
    ASSERT_TRUE(sequence.CheckIntegrity().has_value());
  }
  // Expects tokens 0 to 63 and the latest ones, at positions without a gap.
  static void ExpectRenumbered(const KvSequence& sequence, int32_t last_token) {
    const int32_t length = sequence.length();
    for (int32_t i = 0; i < length; ++i) {
      ASSERT_EQ(sequence.tokens()[static_cast<size_t>(i)], i < 64 ? i : last_token + 1 - length + i);
    }
    for (int layer = 0; layer < 2; ++layer) {
      std::vector<float> keys, values;
      sequence.ReadHead(layer, 0, static_cast<int32_t>(BlocksFor(length)), &keys, &values);
      const int32_t first = length - static_cast<int32_t>(values.size() / 16);
      for (int32_t i = first; i < length; ++i) {
        const Key expected = Turned(layer, i);
        const auto at = static_cast<size_t>(i - first) * 16;
        for (size_t d = 0; d < 16; ++d) ASSERT_NEAR(keys[at + d], expected[d], 2e-4) << i;
        ASSERT_EQ(values[at], sequence.tokens()[static_cast<size_t>(i)]);
      }
    }
  }
  KvSequence Make(const KvShape& shape, std::vector<SealObserver*> observers = {}) {
    const KvOptions options = {.format = kernels::PageFormat::kF32, .recent = 64};
    return KvSequence::Create(*pool_, shape, options, std::move(observers)).value();
  }
  Status Evict(KvSequence& sequence, int budget) {
    return EvictToBudget(sequence, StreamingEviction(), kTraits, budget, nullptr, threads_);
  }

  inline static const AttentionTraits kTraits = {
      .heads = 1,
      .ropes = {{.frequencies = {1.0, 0.1, 0.01}, .magnitude = 1.25, .neox = true}, {.frequencies = {0.7, 0.03}}},
      .rope_of_layer = {0, 1}};
  const KvShape global_ = {.layers = 2, .kv_heads = 1, .head_dim = 16, .windows = {}};
  std::unique_ptr<PagePool> pool_ = PagePool::Create(16 << 20).value();
  base::ThreadPool threads_{1};
};

TEST_F(RenumberTest, PositionsHaveNoGapAfterAnyNumberOfEvictions) {
  KvSequence sequence = Make(global_);
  int32_t tokens = 0;
  for (int round = 0; round < 20; ++round) {
    Grow(sequence, 300, tokens);
    tokens += 300;
    const int32_t before = sequence.length();
    ASSERT_TRUE(Evict(sequence, 400).has_value());
    EXPECT_LE(sequence.length(), 400);
    EXPECT_GE(sequence.length(), std::min(before, 400 - 63));
    EXPECT_EQ(sequence.whole(), tokens <= 400);
    ExpectRenumbered(sequence, tokens - 1);
    EXPECT_EQ(pool_->stats().live_bytes, sequence.bytes());
  }
}

TEST_F(RenumberTest, OthersKeepWhatTheyShareAndObserversHearNothingMore) {
  class Counter final : public SealObserver {
   public:
    void OnSeal(const SealedBlock& /*block*/) override { ++sealed; }
    int sealed = 0;
  } counter;
  KvSequence sequence = Make(global_, {&counter});
  Grow(sequence, 640, 0);
  const KvSequence other = sequence.Fork();
  ASSERT_TRUE(Evict(sequence, 256).has_value());
  ExpectRenumbered(sequence, 639);
  Grow(sequence, 64, 640);
  EXPECT_EQ(counter.sealed, 10);
  EXPECT_EQ(other.length(), 640);
  EXPECT_TRUE(other.whole());
  ExpectRenumbered(other, 639);
}

TEST_F(RenumberTest, WhatAWindowSeesStaysInAllLayers) {
  const KvShape windowed = {.layers = 2, .kv_heads = 1, .head_dim = 16, .windows = {0, 300}};
  EXPECT_EQ(LeastBudget(StreamingEviction(), windowed), 300 + 128);
  EXPECT_EQ(LeastBudget(StreamingEviction(), global_), 0);
  EXPECT_EQ(LeastBudget(RecentEviction(), windowed), 0);
  KvSequence sequence = Make(windowed);
  Grow(sequence, 1000, 0);
  ASSERT_TRUE(Evict(sequence, 200).has_value());
  EXPECT_LE(sequence.length(), 428);
  // All that the next query sees through the window was there before, none of it is a sink.
  EXPECT_GE(sequence.length() - 64, 299);
  ExpectRenumbered(sequence, 999);
}

TEST_F(RenumberTest, WithoutMemoryForSharedPagesNothingChanges) {
  KvSequence sequence = Make(global_);
  Grow(sequence, 640, 0);
  const KvSequence other = sequence.Fork();
  std::vector<Page> rest;
  while (auto page = pool_->Allocate(kernels::PageBytes(kernels::PageFormat::kF32, 16))) {
    rest.push_back(std::move(*page));
  }
  const Status status = Evict(sequence, 256);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(sequence.length(), 640);
  rest.clear();
  ASSERT_TRUE(Evict(sequence, 256).has_value());
  ExpectRenumbered(sequence, 639);
}

}  // namespace
}  // namespace kvasir::kvcache
