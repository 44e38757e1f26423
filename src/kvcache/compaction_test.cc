#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "kvcache/kv_sequence.h"
#include "kvcache/prefix_index.h"
#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {
namespace {

const KvShape kShape = {.layers = 2, .kv_heads = 2, .head_dim = 16, .windows = {0, 100}};

class CompactionTest : public testing::Test {
 protected:
  KvOptions Options(bool position_free = true) const {
    return {.format = kernels::PageFormat::kF32,
            .compact = std::make_shared<CompactStoreForTest>(CompactRule{.recent = 100, .sinks = 4}, position_free),
            .recent = 10};
  }
  KvSequence Create(const KvOptions& options, std::vector<SealObserver*> observers = {}) {
    return KvSequence::Create(*pool_, kShape, options, std::move(observers)).value();
  }
  // Takes `sequence` on by `count` tokens in steps of `step`, as the engine does.
  void Grow(KvSequence& sequence, int count, int step) {
    while (count > 0) {
      const int taken = std::min({count, step, sequence.RoomInStep()});
      std::vector<KnownToken> tokens;
      std::vector<int32_t> ids;
      for (int i = 0; i < taken; ++i) {
        const int position = sequence.length() + i;
        tokens.push_back({.id = position % 7, .serial = position});
        ids.push_back(tokens.back().id);
      }
      ASSERT_TRUE(sequence.Extend(ids).has_value());
      WriteStep(sequence, tokens);
      sequence.Commit();
      sequence.ReleaseOutsideWindow();
      sequence.Compact(threads_);
      count -= taken;
    }
  }
  std::vector<KnownToken> Known(const KvSequence& sequence) const {
    std::vector<KnownToken> tokens;
    for (int i = 0; i < sequence.length(); ++i) tokens.push_back({.id = i % 7, .serial = i});
    return tokens;
  }
  static std::vector<bool> Compact(const KvSequence& sequence, int layer) {
    std::vector<bool> compact;
    for (const kernels::PageRef& page : sequence.View().pages(layer, 0).refs) compact.push_back(page.compact);
    return compact;
  }

  std::unique_ptr<PagePool> pool_ = PagePool::Create(16 << 20).value();
  base::ThreadPool threads_{2};
};

TEST_F(CompactionTest, PagesBehindTheRecentOnesBecomeCompactAndTheFirstOnesStay) {
  KvSequence sequence = Create(Options());
  Grow(sequence, 511, 200);
  EXPECT_EQ(Compact(sequence, 0), (std::vector<bool>{0, 1, 0, 0, 0, 0, 0, 0}));  // as of 256: up to token 156
  Grow(sequence, 1, 1);
  EXPECT_EQ(Compact(sequence, 0), (std::vector<bool>{0, 1, 1, 1, 1, 1, 0, 0}));  // as of 512: up to token 412
  EXPECT_EQ(Compact(sequence, 1), (std::vector<bool>{0, 0}));                    // the window is recent
  ExpectContents(sequence, Known(sequence));
  EXPECT_TRUE(sequence.CheckIntegrity().has_value());
}

TEST_F(CompactionTest, WhichPagesAreCompactDependsOnTheLengthAlone) {
  for (const int step : {1, 7, 64, 200, 512}) {
    KvSequence sequence = Create(Options());
    for (const int length : {100, 256, 300, 511, 700, 1024, 1100}) {
      Grow(sequence, length - sequence.length(), step);
      const CompactRule rule = sequence.options().compact->rule();
      for (const kernels::PageRef& page : sequence.View().pages(0, 0).refs) {
        const int block = page.first_position / 64;
        EXPECT_EQ(page.compact, block >= rule.FirstBlock() && block < rule.EndBlock(length)) << step << " " << length;
      }
    }
  }
}

TEST_F(CompactionTest, BytesAreWhatTheArithmeticSays) {
  for (const int step : {1, 60, 256}) {
    KvSequence sequence = Create(Options());
    while (sequence.length() < 1200) {
      const size_t before = sequence.bytes();
      Grow(sequence, step, step);
      EXPECT_EQ(sequence.bytes(), BytesAt(kShape, Options().layout(), sequence.length()));
      EXPECT_LE(sequence.bytes(), PeakBytes(kShape, Options().layout(), sequence.length(), step));
      EXPECT_LE(before, PeakBytes(kShape, Options().layout(), sequence.length(), step));
    }
  }
}

TEST_F(CompactionTest, RewindingIntoACompactPageOpensIt) {
  KvSequence sequence = Create(Options());
  Grow(sequence, 1024, 256);
  KvSequence fork = sequence.Fork();
  // The local layer has released what a rewound sequence would see, so rewind a shape without windows.
  const KvShape shape = {.layers = 1, .kv_heads = 1, .head_dim = 16};
  KvSequence plain = KvSequence::Create(*pool_, shape, Options()).value();
  Grow(plain, 1024, 256);
  const KvSequence other = plain.Fork();
  ASSERT_TRUE(plain.Truncate(400).has_value());
  Grow(plain, 10, 10);
  const auto refs = plain.View().pages(0, 0).refs;
  EXPECT_TRUE(refs[5].compact);
  EXPECT_FALSE(refs[6].compact);
  ExpectContents(plain, Known(plain));
  ExpectContents(other, Known(other));
  EXPECT_TRUE(plain.CheckIntegrity().has_value());
}

TEST_F(CompactionTest, ContextShiftMovesCompactPages) {
  const KvShape shape = {.layers = 1, .kv_heads = 1, .head_dim = 16};
  for (const bool position_free : {false, true}) {
    KvSequence sequence = KvSequence::Create(*pool_, shape, Options(position_free)).value();
    Grow(sequence, 1024, 256);
    const KvSequence fork = sequence.Fork();
    const size_t live = pool_->stats().live_bytes;
    ASSERT_EQ(sequence.ShiftContext(4, 128, AddToPosition).value(), 128);
    // Shared pages are copied where they have to change: keys that know no position do not.
    const size_t copied = pool_->stats().live_bytes - live;
    EXPECT_EQ(copied, position_free ? 2 * kernels::PageBytes(kernels::PageFormat::kF32, 16)
                                    : 2 * kernels::PageBytes(kernels::PageFormat::kF32, 16) +
                                          11 * Options().compact->PageBytes(0));
    std::vector<KnownToken> tokens = Known(fork);
    tokens.erase(tokens.begin() + 64, tokens.begin() + 64 + 128);
    ExpectContents(sequence, tokens);
    ExpectContents(fork, Known(fork));
    EXPECT_TRUE(sequence.CheckIntegrity().has_value());
  }
}

TEST_F(CompactionTest, WithoutMemoryPagesStayOpenUntilThereIsSome) {
  const KvShape shape = {.layers = 1, .kv_heads = 1, .head_dim = 16};
  const size_t page = kernels::PageBytes(kernels::PageFormat::kF32, 16);
  pool_ = PagePool::Create(8 * page).value();
  KvSequence sequence = KvSequence::Create(*pool_, shape, Options()).value();
  Page rest = pool_->Allocate(4 * page).value();
  Grow(sequence, 256, 256);  // fills the budget
  EXPECT_EQ(Compact(sequence, 0), (std::vector<bool>{0, 0, 0, 0}));
  rest.Reset();
  Grow(sequence, 256, 256);
  EXPECT_EQ(Compact(sequence, 0)[1], false);  // four new pages took the room
  EXPECT_TRUE(sequence.CheckIntegrity().has_value());
}

TEST_F(CompactionTest, ThePrefixIndexHoldsCompactPagesAndSharesThem) {
  PrefixIndex index(kShape);
  const KvOptions options = Options();
  KvSequence first = Create(options, {&index});
  Grow(first, 600, 256);
  const size_t live = pool_->stats().live_bytes;
  // The second computes the same, and ends up with the pages of the first where both are compact.
  KvSequence second = Create(options, {&index});
  Grow(second, 600, 256);
  const auto pages = [](const KvSequence& sequence) { return sequence.View().pages(0, 0).refs; };
  for (size_t i = 0; i < pages(first).size(); ++i) {
    EXPECT_EQ(pages(first)[i].data == pages(second)[i].data, pages(first)[i].compact) << i;
  }
  EXPECT_LT(pool_->stats().live_bytes, 2 * live);
  // A third adopts what is held: compact pages, and open ones behind them.
  std::vector<int32_t> tokens;
  for (int i = 0; i < 600; ++i) tokens.push_back(i % 7);
  const PrefixMatch match = index.Match(RootHash(options, kShape), tokens, 590);
  KvSequence third = Create(options, {&index});
  third.Adopt(match.blocks, match.length);
  EXPECT_EQ(third.length(), 576);
  EXPECT_TRUE(pages(third)[1].compact);
  EXPECT_FALSE(pages(third)[8].compact);
  ExpectContents(third, Known(third));
  Grow(third, 500, 64);
  ExpectContents(third, Known(third));
  EXPECT_TRUE(third.CheckIntegrity().has_value());
}

TEST_F(CompactionTest, TheIdentityOfContentKnowsTheStore) {
  KvOptions open = Options();
  open.compact = nullptr;
  EXPECT_NE(RootHash(Options(), kShape), RootHash(open, kShape));
}

}  // namespace
}  // namespace kvasir::kvcache
