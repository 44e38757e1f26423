#include "kvcache/prefix_index.h"

#include <gtest/gtest.h>

#include <numeric>

#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {
namespace {

using kernels::kPageTokens;

std::vector<int32_t> Count(int from, int tokens) {
  std::vector<int32_t> all(static_cast<size_t>(tokens));
  std::iota(all.begin(), all.end(), from);
  return all;
}

std::vector<KnownToken> Known(std::span<const int32_t> tokens) {
  std::vector<KnownToken> known;
  for (const int32_t token : tokens) known.push_back({token, token % 50});
  return known;
}

class PrefixIndexTest : public testing::Test {
 protected:
  explicit PrefixIndexTest(std::vector<int> windows = {0, 0}) : shape_{2, 2, 16, std::move(windows)} {
    block_bytes_ = 4 * kernels::PageBytes(options_.format, shape_.head_dim);
    pool_ = std::move(PagePool::Create(40 * block_bytes_)).value();
  }

  KvSequence NewSequence(const std::string& salt = "") {
    KvOptions options = options_;
    options.tenant_salt = salt;
    return std::move(KvSequence::Create(*pool_, shape_, options, {&index_})).value();
  }
  // Computes `tokens` behind what the sequence holds, in steps of `step`.
  void Compute(KvSequence& sequence, std::span<const int32_t> tokens, size_t step = 100) {
    const std::vector<KnownToken> known = Known(tokens);
    for (size_t begin = 0; begin < tokens.size(); begin += step) {
      const size_t count = std::min(step, tokens.size() - begin);
      ASSERT_TRUE(sequence.Extend(tokens.subspan(begin, count)).has_value());
      WriteStep(sequence, std::span(known).subspan(begin, count));
      sequence.Commit();
      sequence.ReleaseOutsideWindow();
    }
  }
  // Computes `tokens` and lets go of the sequence.
  void Publish(std::span<const int32_t> tokens, const std::string& salt = "") {
    KvSequence sequence = NewSequence(salt);
    Compute(sequence, tokens);
    index_.Touch(sequence.sealed());
  }
  PrefixMatch Match(std::span<const int32_t> tokens, int limit, const std::string& salt = "") {
    KvOptions options = options_;
    options.tenant_salt = salt;
    return index_.Match(RootHash(options, shape_), tokens, limit);
  }
  // Starts a sequence from what is held, computes the rest, and checks all it holds. Returns the tokens it found.
  int Resume(std::span<const int32_t> tokens) {
    const PrefixMatch match = Match(tokens, static_cast<int>(tokens.size()) - 1);
    KvSequence sequence = NewSequence();
    sequence.Adopt(match.blocks, match.length);
    EXPECT_TRUE(sequence.CheckIntegrity().has_value()) << sequence.CheckIntegrity().error().message;
    Compute(sequence, tokens.subspan(static_cast<size_t>(match.length)));
    EXPECT_TRUE(sequence.CheckIntegrity().has_value()) << sequence.CheckIntegrity().error().message;
    ExpectContents(sequence, Known(tokens));
    return match.length;
  }

  KvShape shape_;
  KvOptions options_;
  size_t block_bytes_ = 0;
  std::unique_ptr<PagePool> pool_;
  PrefixIndex index_{shape_};
};

TEST_F(PrefixIndexTest, FindsTheLongestBeginningToTheToken) {
  const std::vector<int32_t> text = Count(0, 200);
  Publish(text);
  EXPECT_EQ(index_.stats().blocks, 3u);
  EXPECT_EQ(index_.stats().unused_bytes, 3 * block_bytes_);

  const PrefixMatch all = Match(text, 199);
  EXPECT_EQ(all.length, 192);  // sealed blocks only
  EXPECT_EQ(all.end, MatchEnd::kNotHeld);
  EXPECT_EQ(Match(text, 150).length, 150);
  EXPECT_EQ(Match(text, 150).end, MatchEnd::kLimit);
  EXPECT_EQ(Match(text, 0).length, 0);

  std::vector<int32_t> other = text;
  other[70] = 999;
  EXPECT_EQ(Match(other, 199).length, 70);
  EXPECT_EQ(Match(other, 199).end, MatchEnd::kDiverged);
  other[0] = 999;
  EXPECT_EQ(Match(other, 199).length, 0);
  EXPECT_EQ(Match(other, 199).end, MatchEnd::kDiverged);
}

TEST_F(PrefixIndexTest, WhatIsFoundGoesOnAsIfComputed) {
  const std::vector<int32_t> text = Count(0, 200);
  Publish(text);
  EXPECT_EQ(Resume(text), 192);
  std::vector<int32_t> other = text;
  std::fill(other.begin() + 70, other.end(), 7);
  EXPECT_EQ(Resume(other), 70);
  EXPECT_EQ(Resume(other), 192);
  EXPECT_EQ(Resume(text), 192);  // the shared pages were not written to
  EXPECT_EQ(index_.stats().blocks, 5u);
}

TEST_F(PrefixIndexTest, SaltsSeparateTenants) {
  const std::vector<int32_t> text = Count(0, 130);
  Publish(text, "a");
  EXPECT_EQ(Match(text, 129, "b").length, 0);
  EXPECT_EQ(Match(text, 129, "b").end, MatchEnd::kNotHeld);
  EXPECT_EQ(Match(text, 129, "a").length, 128);
}

TEST_F(PrefixIndexTest, GivesUpTheLeastRecentlyUsedAndTheEndsOfTextsFirst) {
  const std::vector<int32_t> old_text = Count(0, 200);
  const std::vector<int32_t> new_text = Count(500, 200);
  Publish(old_text);
  Publish(new_text);
  EXPECT_EQ(Match(old_text, 199).length, 192);  // used: now the new one is older
  EXPECT_EQ(index_.ReclaimableBytes(SIZE_MAX), 6 * block_bytes_);
  EXPECT_EQ(index_.Reclaim(1), block_bytes_);
  EXPECT_EQ(Match(new_text, 199).length, 128);
  EXPECT_EQ(Match(old_text, 199).length, 192);
  EXPECT_EQ(index_.Reclaim(SIZE_MAX), 5 * block_bytes_);
  EXPECT_EQ(index_.stats().blocks, 0u);
  EXPECT_EQ(index_.stats().evicted_blocks, 6);
  EXPECT_EQ(pool_->stats().live_bytes, 0u);
}

TEST_F(PrefixIndexTest, NeverGivesUpWhatIsUsed) {
  const std::vector<int32_t> text = Count(0, 200);
  KvSequence sequence = NewSequence();
  Compute(sequence, text);
  EXPECT_EQ(index_.ReclaimableBytes(SIZE_MAX), 0u);
  EXPECT_EQ(index_.Reclaim(SIZE_MAX), 0u);
  const PrefixMatch match = Match(text, 100);
  KvSequence second = NewSequence();
  second.Adopt(match.blocks, match.length);
  EXPECT_EQ(index_.stats().unused_bytes, 0u);
  EXPECT_EQ(index_.stats().blocks, 3u);
}

TEST_F(PrefixIndexTest, CountsSharedPages) {
  const std::vector<int32_t> text = Count(0, 200);
  Publish(text);
  KvSequence first = NewSequence();
  KvSequence second = NewSequence();
  {
    const PrefixMatch match = Match(text, 128);
    first.Adopt(match.blocks, match.length);
  }
  EXPECT_EQ(index_.stats().shared_bytes, 0u);
  {
    const PrefixMatch match = Match(text, 64);
    second.Adopt(match.blocks, match.length);
  }
  EXPECT_EQ(index_.stats().shared_bytes, block_bytes_);
  EXPECT_EQ(index_.stats().unused_bytes, block_bytes_);
}

TEST_F(PrefixIndexTest, EqualBlocksAreHeldOnce) {
  const std::vector<int32_t> text = Count(0, 130);
  Publish(text);
  Publish(text);
  EXPECT_EQ(index_.stats().blocks, 2u);
  EXPECT_EQ(pool_->stats().live_bytes, 2 * block_bytes_);
  index_.Clear();
  EXPECT_EQ(pool_->stats().live_bytes, 0u);
}

// One layer sees everything, the other 100 tokens.
class WindowedPrefixIndexTest : public PrefixIndexTest {
 protected:
  WindowedPrefixIndexTest() : PrefixIndexTest({0, 100}) {}
};

TEST_F(WindowedPrefixIndexTest, NeedsOnlyTheBlocksInSight) {
  const std::vector<int32_t> text = Count(0, 400);
  Publish(text);
  const PrefixMatch match = Match(text, 399);
  EXPECT_EQ(match.length, 384);
  EXPECT_TRUE(match.blocks[0].pages[0]);
  EXPECT_FALSE(match.blocks[0].pages[2]);  // layer 1 does not see it
  EXPECT_TRUE(match.blocks[5].pages[2]);
  EXPECT_EQ(Resume(text), 384);
  std::vector<int32_t> other = text;
  other[300] = 999;
  EXPECT_EQ(Resume(other), 300);
}

TEST_F(WindowedPrefixIndexTest, GivesUpPagesInTheMiddleOfTextsBeforeTheirEnds) {
  const std::vector<int32_t> text = Count(0, 400);
  Publish(text);
  // The two local pages of each of the four blocks that lie before the window of the text's end.
  EXPECT_EQ(index_.Reclaim(1), block_bytes_ / 2);
  EXPECT_EQ(index_.Reclaim(3 * block_bytes_ / 2), 3 * block_bytes_ / 2);
  EXPECT_EQ(index_.stats().blocks, 6u);
  EXPECT_EQ(Resume(text), 384);
  std::vector<int32_t> other = text;
  other[200] = 999;
  EXPECT_EQ(Match(other, 399).length, 0);  // no window of an earlier end is held
  EXPECT_EQ(Match(other, 399).end, MatchEnd::kNotHeld);
  // Whoever computes them again fills them in.
  Publish(other);
  EXPECT_EQ(Resume(text), 384);
  EXPECT_EQ(Match(other, 399).length, 384);
}

TEST_F(WindowedPrefixIndexTest, EverythingComesBackInTheEnd) {
  Publish(Count(0, 400));
  Publish(Count(0, 300));
  Publish(Count(100, 300));
  while (index_.Reclaim(1) > 0) {
  }
  EXPECT_EQ(pool_->stats().live_bytes, 0u);
  EXPECT_EQ(index_.stats().blocks, 0u);
}

TEST_F(PrefixIndexTest, SaysWhatItHolds) {
  const std::vector<int32_t> tokens = Count(0, 3 * kPageTokens + 5);
  Publish(tokens);
  std::vector<HeldBlockInfo> blocks = index_.Blocks();
  ASSERT_EQ(blocks.size(), 3U);
  size_t bytes = 0;
  for (const HeldBlockInfo& block : blocks) {
    EXPECT_EQ(block.bytes, block_bytes_);
    bytes += block.bytes;
  }
  EXPECT_EQ(bytes, pool_->stats().live_bytes);
  // Touched from the end to the beginning, so the beginning was used last.
  EXPECT_EQ(blocks[0].parent, RootHash(options_, shape_));
  EXPECT_EQ(blocks[1].parent, blocks[0].hash);
  EXPECT_EQ(blocks[2].parent, blocks[1].hash);
  EXPECT_EQ(blocks[0].number, 1);
  EXPECT_EQ(blocks[2].number, 3);

  Publish(Count(5000, kPageTokens));
  blocks = index_.Blocks();
  ASSERT_EQ(blocks.size(), 4U);
  EXPECT_EQ(blocks[0].number, 4) << "the newest text was used last";
  index_.Clear();
  EXPECT_TRUE(index_.Blocks().empty());
}

}  // namespace
}  // namespace kvasir::kvcache
