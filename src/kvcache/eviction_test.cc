#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "kvcache/kv_sequence.h"
#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {
namespace {

const KvShape kShape = {.layers = 2, .kv_heads = 2, .head_dim = 16};
using Places = std::vector<int32_t>;

class EvictionTest : public testing::TestWithParam<bool> {
 protected:
  KvOptions Options() const {
    KvOptions options = {.format = kernels::PageFormat::kF32, .recent = 10};
    if (GetParam()) {
      options.compact = std::make_shared<CompactStoreForTest>(CompactRule{.recent = 64, .sinks = 4}, true);
    }
    return options;
  }
  KvSequence Grown(int count, std::vector<SealObserver*> observers = {}) {
    KvSequence sequence = KvSequence::Create(*pool_, kShape, Options(), std::move(observers)).value();
    Grow(sequence, count);
    return sequence;
  }
  void Grow(KvSequence& sequence, int count) {
    while (count > 0) {
      const int taken = std::min(count, sequence.RoomInStep());
      std::vector<KnownToken> tokens;
      std::vector<int32_t> ids;
      for (int i = 0; i < taken; ++i) {
        tokens.push_back({.id = (sequence.length() + i) % 7, .serial = sequence.length() + i});
        ids.push_back(tokens.back().id);
      }
      ASSERT_TRUE(sequence.Extend(ids).has_value());
      WriteStep(sequence, tokens);
      sequence.Commit();
      sequence.Compact(threads_);
      count -= taken;
    }
  }
  // What a head holds: the serial numbers, which are the positions, of its tokens in order of the pages.
  static std::vector<int32_t> Held(const KvSequence& sequence, int layer, int head) {
    std::vector<float> keys, values;
    const int32_t blocks = sequence.committed() / kernels::kPageTokens;
    sequence.ReadHead(layer, head, blocks, &keys, &values);
    std::vector<int32_t> positions;
    for (size_t i = 0; i < keys.size(); i += 16) {
      EXPECT_EQ(keys[i], values[i]);  // a key says its position, a value its serial number
      positions.push_back(static_cast<int32_t>(keys[i]));
    }
    EXPECT_EQ(positions, sequence.HeldPositions(layer, head, blocks));
    return positions;
  }
  static Places Every(int step, int end) {
    Places places;
    for (int i = 0; i < end; i += step) places.push_back(i);
    return places;
  }

  std::unique_ptr<PagePool> pool_ = PagePool::Create(16 << 20).value();
  base::ThreadPool threads_{1};
};

INSTANTIATE_TEST_SUITE_P(Stores, EvictionTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "compact" : "open"; });

TEST_P(EvictionTest, EachHeadKeepsItsOwnTokensAndMemoryIsFree) {
  KvSequence sequence = Grown(1000);
  const size_t before = pool_->stats().live_bytes;
  ASSERT_TRUE(sequence.Evict(1, 10, std::vector<Places>{Every(2, 640), Every(10, 640)}).has_value());
  EXPECT_TRUE(sequence.CheckIntegrity().has_value());
  std::vector<int32_t> expected = Every(2, 640);
  for (int i = 640; i < 960; ++i) expected.push_back(i);
  EXPECT_EQ(Held(sequence, 1, 0), expected);
  EXPECT_EQ(Held(sequence, 1, 1).size(), 64u + 320u);
  EXPECT_EQ(Held(sequence, 0, 0).size(), 960u);  // other layers are as they were
  // Ten pages became five and one.
  EXPECT_EQ(pool_->stats().live_bytes, sequence.bytes());
  EXPECT_LT(sequence.bytes(), before);
  // A second eviction chooses among what is left.
  ASSERT_TRUE(sequence.Evict(1, 15, std::vector<Places>{Every(4, 640), Places{0, 63, 64}}).has_value());
  EXPECT_EQ(Held(sequence, 1, 1), (std::vector<int32_t>{0, 630, 640}));
  EXPECT_EQ(Held(sequence, 1, 0)[1], 8);
  EXPECT_TRUE(sequence.CheckIntegrity().has_value());
  Grow(sequence, 300);
  EXPECT_TRUE(sequence.CheckIntegrity().has_value());
  EXPECT_EQ(Held(sequence, 1, 1).size(), 3u + 1280u - 960u);
}

TEST_P(EvictionTest, AHeadMayKeepNothing) {
  KvSequence sequence = Grown(256);
  ASSERT_TRUE(sequence.Evict(0, 4, std::vector<Places>{{}, {}}).has_value());
  EXPECT_TRUE(sequence.CheckIntegrity().has_value());
  EXPECT_TRUE(sequence.View().pages(0, 0).refs.empty());
  Grow(sequence, 70);
  EXPECT_EQ(sequence.View().pages(0, 0).refs.size(), 2u);
}

TEST_P(EvictionTest, OthersKeepWhatTheyShare) {
  KvSequence sequence = Grown(640);
  const KvSequence fork = sequence.Fork();
  ASSERT_TRUE(sequence.Evict(0, 9, std::vector<Places>{Every(9, 576), Every(9, 576)}).has_value());
  std::vector<KnownToken> tokens;
  for (int i = 0; i < 640; ++i) tokens.push_back({.id = i % 7, .serial = i});
  ExpectContents(fork, tokens);
  EXPECT_TRUE(fork.CheckIntegrity().has_value());
}

TEST_P(EvictionTest, RewindsOnlyToWhatIsWhole) {
  KvSequence sequence = Grown(640);
  ASSERT_TRUE(sequence.Evict(0, 5, std::vector<Places>{Every(9, 320), Every(9, 320)}).has_value());
  EXPECT_TRUE(sequence.CanTruncateTo(320));
  EXPECT_FALSE(sequence.CanTruncateTo(319));
  EXPECT_FALSE(sequence.ShiftContext(4, 64, AddToPosition).has_value());
  ASSERT_TRUE(sequence.Truncate(400).has_value());
  EXPECT_TRUE(sequence.CheckIntegrity().has_value());
  ASSERT_TRUE(sequence.Truncate(0).has_value());
  EXPECT_EQ(pool_->stats().live_bytes, 0u);
  Grow(sequence, 100);
  EXPECT_TRUE(sequence.CheckIntegrity().has_value());
}

TEST_P(EvictionTest, WithoutMemoryForTheCopiesNothingChanges) {
  KvSequence sequence = Grown(640);
  const size_t live = pool_->stats().live_bytes;
  std::vector<Page> rest;
  while (auto page = pool_->Allocate(4096)) rest.push_back(std::move(*page));
  const auto result = sequence.Evict(0, 9, std::vector<Places>{Every(2, 576), Every(2, 576)});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kResourceExhausted);
  rest.clear();
  EXPECT_EQ(pool_->stats().live_bytes, live);
  EXPECT_EQ(Held(sequence, 0, 0).size(), 640u);
  EXPECT_TRUE(sequence.CheckIntegrity().has_value());
}

TEST_P(EvictionTest, ObserversHearNothingAfterwards) {
  struct Counter final : SealObserver {
    void OnSeal(const SealedBlock& /*block*/) override { ++blocks; }
    int blocks = 0;
  } counter;
  KvSequence sequence = Grown(320, {&counter});
  EXPECT_EQ(counter.blocks, 5);
  ASSERT_TRUE(sequence.Evict(0, 4, std::vector<Places>{Every(2, 256), Every(2, 256)}).has_value());
  Grow(sequence, 320);
  EXPECT_EQ(counter.blocks, 5);
}

}  // namespace
}  // namespace kvasir::kvcache
