#include "kvcache/kv_sequence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {
namespace {

using kernels::PageFormat;
using testing::HasSubstr;

// A global layer and one with a window of 100, two heads each: four tables.
const KvShape kShape = {.layers = 2, .kv_heads = 2, .head_dim = 16, .windows = {0, 100}};
const size_t kPageBytes = kernels::PageBytes(PageFormat::kF32, 16);

KvOptions Options() {
  return {.format = PageFormat::kF32, .recent = 0};
}

std::vector<KnownToken> Tokens(int count, int first_id = 0) {
  std::vector<KnownToken> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back({.id = first_id + i, .serial = first_id + i});
  return tokens;
}

// Extends by `tokens`, writes and commits them.
Status Step(KvSequence& sequence, const std::vector<KnownToken>& tokens) {
  std::vector<int32_t> ids;
  for (const KnownToken& token : tokens) ids.push_back(token.id);
  if (Status status = sequence.Extend(ids); !status) return status;
  WriteStep(sequence, tokens);
  sequence.Commit();
  return sequence.CheckIntegrity();
}

class KvSequenceTest : public testing::Test {
 protected:
  std::unique_ptr<PagePool> MakePool(size_t pages) { return PagePool::Create(pages * kPageBytes).value(); }
  KvSequence Make(PagePool& pool, std::vector<SealObserver*> observers = {}) {
    return KvSequence::Create(pool, kShape, Options(), std::move(observers)).value();
  }
};

TEST_F(KvSequenceTest, RefusesBadShapesAndOptions) {
  const auto pool = MakePool(10);
  KvShape shape = kShape;
  shape.head_dim = 20;
  EXPECT_FALSE(KvSequence::Create(*pool, shape, Options()));
  KvOptions options = Options();
  options.sinks = -1;
  EXPECT_FALSE(KvSequence::Create(*pool, kShape, options));
}

TEST_F(KvSequenceTest, AStepReservesWritesAndCommits) {
  const auto pool = MakePool(100);
  KvSequence sequence = Make(*pool);
  EXPECT_EQ(sequence.View().num_new, 0);
  const std::vector<int32_t> ids = {7, 8, 9};
  ASSERT_TRUE(sequence.Extend(ids));
  EXPECT_EQ(sequence.length(), 3);
  EXPECT_EQ(sequence.committed(), 0);
  EXPECT_EQ(sequence.View().num_new, 3);
  EXPECT_EQ(sequence.View().pages(1, 1).refs[0].count, 3);
  EXPECT_EQ(sequence.View().slot(1, 1, 2).slot, 2);
  sequence.Commit();
  EXPECT_EQ(sequence.View().num_new, 0);
  EXPECT_EQ(sequence.View().first_new_position, 3);
  ASSERT_TRUE(sequence.Extend({}));
  EXPECT_EQ(pool->stats().live_pages, 4u);
}

TEST_F(KvSequenceTest, SeveralExtendsFormOneStep) {
  const auto pool = MakePool(100);
  KvSequence sequence = Make(*pool);
  const std::vector<int32_t> ids(60, 1);
  ASSERT_TRUE(sequence.Extend(ids));
  ASSERT_TRUE(sequence.Extend(ids));
  EXPECT_EQ(sequence.View().num_new, 120);
  EXPECT_EQ(sequence.View().slot(0, 0, 64).slot, 0);
  EXPECT_TRUE(sequence.sealed().empty());
  sequence.Commit();
  EXPECT_EQ(sequence.sealed().size(), 1u);
}

TEST_F(KvSequenceTest, ExtendIsAllOrNothing) {
  const auto pool = MakePool(11);  // 2 blocks of 4 pages fit, 3 do not
  KvSequence sequence = Make(*pool);
  const auto tokens = Tokens(100);
  ASSERT_TRUE(Step(sequence, tokens));
  const std::vector<int32_t> more(100, 5);
  const Status refused = sequence.Extend(more);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(refused.error().message, HasSubstr("8 more pages"));
  EXPECT_TRUE(sequence.CheckIntegrity());
  EXPECT_EQ(sequence.committed(), 100);
  ExpectContents(sequence, tokens);
  EXPECT_TRUE(Step(sequence, Tokens(28, 100)));
}

TEST_F(KvSequenceTest, GivingAStepUp) {
  const auto pool = MakePool(100);
  KvSequence sequence = Make(*pool);
  const auto tokens = Tokens(70);
  ASSERT_TRUE(Step(sequence, tokens));
  const std::vector<int32_t> ids(100, 5);
  ASSERT_TRUE(sequence.Extend(ids));
  ASSERT_TRUE(sequence.Truncate(sequence.committed()));
  ExpectContents(sequence, tokens);
  EXPECT_EQ(sequence.bytes(), 8 * kPageBytes);
  EXPECT_EQ(pool->stats().live_bytes, sequence.bytes());
}

TEST_F(KvSequenceTest, WindowsReleasePagesAndRefuseToRewindTooFar) {
  const auto pool = MakePool(100);
  KvSequence sequence = Make(*pool);
  auto tokens = Tokens(300);
  ASSERT_TRUE(Step(sequence, tokens));
  EXPECT_EQ(sequence.bytes(), 4 * 5 * kPageBytes);
  sequence.ReleaseOutsideWindow();
  ASSERT_TRUE(sequence.CheckIntegrity());
  // A query at 300 sees from 201: page 3. The global layer keeps its five pages.
  EXPECT_EQ(sequence.View().pages(1, 0).refs.front().first_position, 192);
  EXPECT_EQ(sequence.bytes(), BytesAt(kShape, PageFormat::kF32, 300));
  ExpectContents(sequence, tokens);

  EXPECT_TRUE(sequence.CanTruncateTo(300));
  EXPECT_TRUE(sequence.CanTruncateTo(291));   // sees from 192
  EXPECT_FALSE(sequence.CanTruncateTo(290));  // would see 191
  EXPECT_FALSE(sequence.CanTruncateTo(301));
  EXPECT_FALSE(sequence.CanTruncateTo(-1));
  EXPECT_TRUE(sequence.CanTruncateTo(0));
  const Status refused = sequence.Truncate(250);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("cannot rewind to 250 tokens"));
  EXPECT_THAT(refused.error().message, HasSubstr("291 tokens or more work"));
  EXPECT_THAT(sequence.Truncate(301).error().message, HasSubstr("the sequence has 300"));
  ExpectContents(sequence, tokens);

  ASSERT_TRUE(sequence.Truncate(291));
  tokens.resize(291);
  ExpectContents(sequence, tokens);
  ASSERT_TRUE(sequence.Truncate(0));
  EXPECT_EQ(pool->stats().live_pages, 0u);
  ASSERT_TRUE(Step(sequence, Tokens(80)));
}

TEST_F(KvSequenceTest, AForkSharesUntilOneWrites) {
  const auto pool = MakePool(100);
  KvSequence sequence = Make(*pool);
  auto tokens = Tokens(100);
  ASSERT_TRUE(Step(sequence, tokens));
  KvSequence fork = sequence.Fork();
  ASSERT_TRUE(fork.CheckIntegrity());
  EXPECT_EQ(pool->stats().live_pages, 8u);
  auto fork_tokens = tokens;
  fork_tokens.push_back({.id = 1000, .serial = 1000});
  ASSERT_TRUE(Step(fork, {fork_tokens.back()}));
  EXPECT_EQ(pool->stats().live_pages, 12u);  // the open page of each table was copied
  tokens.push_back({.id = 2000, .serial = 2000});
  ASSERT_TRUE(Step(sequence, {tokens.back()}));
  EXPECT_EQ(pool->stats().live_pages, 12u);  // and is now the first sequence's own
  ExpectContents(sequence, tokens);
  ExpectContents(fork, fork_tokens);
}

TEST_F(KvSequenceTest, AForkNeedsRoomOnlyWhenItGrows) {
  const auto pool = MakePool(8);
  KvSequence sequence = Make(*pool);
  ASSERT_TRUE(Step(sequence, Tokens(100)));
  KvSequence fork = sequence.Fork();
  const std::vector<int32_t> one = {1};
  EXPECT_FALSE(fork.Extend(one));
  EXPECT_FALSE(sequence.Extend(one));  // whoever comes first needs the copy
  fork = Make(*pool);
  EXPECT_TRUE(sequence.Extend(one));
}

struct Recorder : SealObserver {
  struct Seen {
    BlockHash hash, parent;
    int32_t index;
    std::vector<int32_t> tokens;
    std::vector<Page> pages;
  };
  void OnSeal(const SealedBlock& block) override {
    seen.push_back({block.hash,
                    block.parent,
                    block.index,
                    {block.tokens.begin(), block.tokens.end()},
                    {block.pages.begin(), block.pages.end()}});
  }
  std::vector<Seen> seen;
};

TEST_F(KvSequenceTest, ObserversSeeEachBlockOnceInOrderWithItsPages) {
  const auto pool = MakePool(100);
  Recorder recorder;
  KvSequence sequence = Make(*pool, {&recorder});
  ASSERT_TRUE(Step(sequence, Tokens(63)));
  EXPECT_TRUE(recorder.seen.empty());
  ASSERT_TRUE(Step(sequence, Tokens(200, 63)));
  ASSERT_EQ(recorder.seen.size(), 4u);
  sequence.Commit();
  sequence.ReleaseOutsideWindow();
  EXPECT_EQ(recorder.seen.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    const Recorder::Seen& seen = recorder.seen[static_cast<size_t>(i)];
    EXPECT_EQ(seen.index, i);
    EXPECT_EQ(seen.hash, sequence.sealed()[static_cast<size_t>(i)]);
    EXPECT_EQ(seen.parent, i == 0 ? RootHash(Options(), kShape) : sequence.sealed()[static_cast<size_t>(i - 1)]);
    std::vector<int32_t> expected(64);
    std::iota(expected.begin(), expected.end(), 64 * i);
    EXPECT_EQ(seen.tokens, expected);
    ASSERT_EQ(seen.pages.size(), 4u);
    for (const Page& page : seen.pages) EXPECT_TRUE(page);
  }
}

TEST_F(KvSequenceTest, WhatAnObserverHoldsIsCopiedBeforeARewriteAndOutlivesTheSequence) {
  const auto pool = MakePool(100);
  Recorder recorder;
  std::vector<float> key(16), value(16);
  {
    KvSequence sequence = Make(*pool, {&recorder});
    ASSERT_TRUE(Step(sequence, Tokens(64)));
    ASSERT_TRUE(sequence.Truncate(10));
    EXPECT_TRUE(sequence.sealed().empty());
    ASSERT_TRUE(Step(sequence, Tokens(54, 500)));
    ASSERT_EQ(recorder.seen.size(), 2u);  // other tokens, another block
    EXPECT_NE(recorder.seen[0].hash, recorder.seen[1].hash);
  }
  EXPECT_EQ(pool->stats().live_pages, 8u);
  const auto load = kernels::TableOf(kernels::Isa::kRef).load_kv[0];
  for (const Page& page : recorder.seen[0].pages) {
    load(page.data(), 16, 40, key.data(), value.data());
    EXPECT_EQ(key[1], 40.0f);
  }
  for (const Page& page : recorder.seen[1].pages) {
    load(page.data(), 16, 40, key.data(), value.data());
    EXPECT_EQ(key[1], 530.0f);
  }
}

TEST_F(KvSequenceTest, HashesNameTokensModelAndTenant) {
  const auto pool = MakePool(1000);
  const auto hash = [&](const KvOptions& options, const KvShape& shape, int first_id) {
    KvSequence sequence = KvSequence::Create(*pool, shape, options).value();
    EXPECT_TRUE(Step(sequence, Tokens(128, first_id)));
    return sequence.sealed()[1];
  };
  const BlockHash base = hash(Options(), kShape, 0);
  EXPECT_EQ(hash(Options(), kShape, 0), base);
  EXPECT_NE(hash(Options(), kShape, 1), base);
  for (const auto change : {&KvOptions::model_fingerprint, &KvOptions::position_salt, &KvOptions::tenant_salt}) {
    KvOptions options = Options();
    options.*change = "x";
    EXPECT_NE(hash(options, kShape, 0), base);
  }
  KvOptions half = Options();
  half.format = PageFormat::kF16;
  EXPECT_NE(hash(half, kShape, 0), base);
  KvShape other = kShape;
  other.windows = {100, 0};
  EXPECT_NE(hash(Options(), other, 0), base);
  EXPECT_EQ(base.ToString().size(), 32u);
}

TEST_F(KvSequenceTest, AMovedSequenceKeepsItsView) {
  const auto pool = MakePool(100);
  KvSequence sequence = Make(*pool);
  const auto tokens = Tokens(70);
  ASSERT_TRUE(Step(sequence, tokens));
  KvSequence moved = std::move(sequence);
  EXPECT_TRUE(moved.CheckIntegrity());
  ExpectContents(moved, tokens);
}

}  // namespace
}  // namespace kvasir::kvcache
