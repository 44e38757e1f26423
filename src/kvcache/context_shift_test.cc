#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kvcache/kv_sequence.h"
#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {
namespace {

using kernels::PageFormat;
using testing::HasSubstr;

const KvShape kGlobal = {.layers = 2, .kv_heads = 1, .head_dim = 16, .windows = {}};
const KvShape kMixed = {.layers = 2, .kv_heads = 1, .head_dim = 16, .windows = {0, 100}};

std::vector<KnownToken> Tokens(int count, int first_id = 0) {
  std::vector<KnownToken> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back({.id = first_id + i, .serial = first_id + i});
  return tokens;
}

class ContextShiftTest : public testing::Test {
 protected:
  KvSequence Make(const KvShape& shape, int recent = 0, PageFormat format = PageFormat::kF32) {
    return KvSequence::Create(*pool_, shape, {.format = format, .recent = recent}).value();
  }
  static void Step(KvSequence& sequence, const std::vector<KnownToken>& tokens) {
    std::vector<int32_t> ids;
    for (const KnownToken& token : tokens) ids.push_back(token.id);
    ASSERT_TRUE(sequence.Extend(ids));
    WriteStep(sequence, tokens);
    sequence.Commit();
    ASSERT_TRUE(sequence.CheckIntegrity());
  }
  const std::unique_ptr<PagePool> pool_ = PagePool::Create(size_t{1} << 20).value();
};

TEST_F(ContextShiftTest, KeepsSinksDropsPagesAndMovesTheRest) {
  KvSequence sequence = Make(kGlobal);
  auto tokens = Tokens(300);
  Step(sequence, tokens);
  const auto dropped = sequence.ShiftContext(4, 100, AddToPosition);
  ASSERT_TRUE(dropped);
  EXPECT_EQ(*dropped, 128);
  tokens.erase(tokens.begin() + 64, tokens.begin() + 192);
  ASSERT_TRUE(sequence.CheckIntegrity());
  ExpectContents(sequence, tokens);  // also checks that each key was turned to its new position
  EXPECT_EQ(sequence.sealed().size(), 2u);
  EXPECT_EQ(pool_->stats().live_bytes, sequence.bytes());

  const auto more = Tokens(30, 1000);
  Step(sequence, more);
  tokens.insert(tokens.end(), more.begin(), more.end());
  ExpectContents(sequence, tokens);
}

TEST_F(ContextShiftTest, WithoutSinksTheFirstPagesGo) {
  KvSequence sequence = Make(kGlobal);
  auto tokens = Tokens(130);
  Step(sequence, tokens);
  EXPECT_EQ(sequence.ShiftContext(0, 1, AddToPosition).value(), 64);
  tokens.erase(tokens.begin(), tokens.begin() + 64);
  ExpectContents(sequence, tokens);
}

TEST_F(ContextShiftTest, RefusesWhatCannotGoAndSaysHowMuchCan) {
  KvSequence sequence = Make(kGlobal, /*recent=*/50);
  const auto tokens = Tokens(300);
  Step(sequence, tokens);
  const auto refused = sequence.ShiftContext(4, 150, AddToPosition);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("cannot drop 150 tokens from a context of 300"));
  EXPECT_THAT(refused.error().message, HasSubstr("at most 128 can go"));
  EXPECT_FALSE(sequence.ShiftContext(4, 0, AddToPosition));
  EXPECT_FALSE(sequence.ShiftContext(-1, 10, AddToPosition));
  const std::vector<int32_t> one = {1};
  ASSERT_TRUE(sequence.Extend(one));
  EXPECT_THAT(sequence.ShiftContext(4, 64, AddToPosition).error().message, HasSubstr("commit"));
  ASSERT_TRUE(sequence.Truncate(300));
  ExpectContents(sequence, tokens);
  EXPECT_TRUE(sequence.ShiftContext(4, 128, AddToPosition));
}

TEST_F(ContextShiftTest, SharedPagesAreCopiedAndTheForkStays) {
  KvSequence sequence = Make(kGlobal);
  auto tokens = Tokens(300);
  Step(sequence, tokens);
  const KvSequence fork = sequence.Fork();
  ASSERT_TRUE(sequence.ShiftContext(4, 64, AddToPosition));
  ExpectContents(fork, tokens);
  tokens.erase(tokens.begin() + 64, tokens.begin() + 128);
  ExpectContents(sequence, tokens);
  EXPECT_TRUE(fork.CheckIntegrity());
  EXPECT_EQ(pool_->stats().live_pages, 2 * (5u + 3u));  // the sinks' page is still shared
}

TEST_F(ContextShiftTest, ChangesNothingWhenTheCopiesDoNotFit) {
  const size_t page = kernels::PageBytes(PageFormat::kF32, 16);
  const auto pool = PagePool::Create(13 * page).value();
  KvSequence sequence = KvSequence::Create(*pool, kGlobal, {.format = PageFormat::kF32, .recent = 0}).value();
  const auto tokens = Tokens(300);
  Step(sequence, tokens);
  const KvSequence fork = sequence.Fork();
  const auto refused = sequence.ShiftContext(4, 64, AddToPosition);  // wants 2 x 3 copies, 3 fit
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  ExpectContents(sequence, tokens);
  ASSERT_TRUE(sequence.CheckIntegrity());
}

TEST_F(ContextShiftTest, ASequenceAloneNeedsNoMemoryToShift) {
  const size_t page = kernels::PageBytes(PageFormat::kF32, 16);
  const auto pool = PagePool::Create(10 * page).value();
  KvSequence sequence = KvSequence::Create(*pool, kGlobal, {.format = PageFormat::kF32, .recent = 0}).value();
  Step(sequence, Tokens(320));
  ASSERT_TRUE(sequence.ShiftContext(4, 64, AddToPosition));
  Step(sequence, Tokens(64));
}

TEST_F(ContextShiftTest, WindowedLayersThatReleasedTheSinksGoOnWithoutThem) {
  KvSequence sequence = Make(kMixed);
  auto tokens = Tokens(300);
  Step(sequence, tokens);
  sequence.ReleaseOutsideWindow();  // the windowed layer holds pages 3 and 4 only
  ASSERT_TRUE(sequence.ShiftContext(4, 192, AddToPosition));
  tokens.erase(tokens.begin() + 64, tokens.begin() + 256);
  ASSERT_TRUE(sequence.CheckIntegrity());
  ExpectContents(sequence, tokens, /*complete=*/false);
  EXPECT_TRUE(sequence.CanTruncateTo(sequence.length()));
  EXPECT_EQ(sequence.View().pages(1, 0).refs.front().first_position, 64);
  const auto more = Tokens(200, 1000);
  Step(sequence, more);
  tokens.insert(tokens.end(), more.begin(), more.end());
  sequence.ReleaseOutsideWindow();
  ASSERT_TRUE(sequence.CheckIntegrity());
  ExpectContents(sequence, tokens, /*complete=*/false);
}

TEST_F(ContextShiftTest, CannotRewindIntoWhatAWindowedLayerLost) {
  KvSequence sequence = Make(kMixed);
  Step(sequence, Tokens(300));
  sequence.ReleaseOutsideWindow();
  ASSERT_TRUE(sequence.ShiftContext(4, 192, AddToPosition));  // the windowed layer has nothing before position 64
  EXPECT_FALSE(sequence.CanTruncateTo(30));
  EXPECT_THAT(sequence.Truncate(30).error().message, HasSubstr("64 tokens or more work"));
  ASSERT_TRUE(sequence.Truncate(64));
  ASSERT_TRUE(sequence.CheckIntegrity());
  Step(sequence, Tokens(70, 500));
  ASSERT_TRUE(sequence.Truncate(0));
  Step(sequence, Tokens(70));
}

// Every hash that the two sequences could share by mistake, across shifts, rewinds and growth.
TEST_F(ContextShiftTest, MovedBlocksNeverLookLikeFreshOnes) {
  const auto after_shift = [&](int length, int rewind_to, int grow_to) {
    KvSequence sequence = Make(kGlobal);
    Step(sequence, Tokens(length));
    EXPECT_TRUE(sequence.ShiftContext(4, 64, AddToPosition));
    EXPECT_TRUE(sequence.Truncate(std::min(rewind_to, sequence.length())));
    std::vector<KnownToken> rest;  // what a fresh sequence would have there
    for (int i = sequence.length(); i < grow_to; ++i) rest.push_back({.id = i + 64});
    Step(sequence, rest);
    return std::vector<BlockHash>(sequence.sealed().begin(), sequence.sealed().end());
  };
  KvSequence sequence = Make(kGlobal);
  auto tokens = Tokens(64);
  const auto rest = Tokens(128, 128);
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  Step(sequence, tokens);
  const std::vector<BlockHash> fresh(sequence.sealed().begin(), sequence.sealed().end());

  for (const auto& [length, rewind_to] : std::vector<std::pair<int, int>>{
           {256, 1000}, {250, 1000}, {140, 1000}, {150, 1000}, {256, 100}, {256, 130}, {250, 65}}) {
    const auto hashes = after_shift(length, rewind_to, 192);
    ASSERT_EQ(hashes.size(), 3u);
    EXPECT_EQ(hashes[0], fresh[0]);
    EXPECT_NE(hashes[1], fresh[1]) << length << " " << rewind_to;
    EXPECT_NE(hashes[2], fresh[2]);
  }
  // Ten moved tokens and twenty moved tokens in the same block are two different things.
  EXPECT_NE(after_shift(138, 1000, 192)[1], after_shift(148, 1000, 192)[1]);
  // The same history gives the same name, and a block that lost all moved tokens is fresh again.
  EXPECT_EQ(after_shift(138, 1000, 192), after_shift(138, 1000, 192));
  EXPECT_EQ(after_shift(200, 138 - 64, 192), after_shift(138, 1000, 192));
  EXPECT_EQ(after_shift(256, 64, 192), fresh);
}

class LossyContextShiftTest : public ContextShiftTest, public testing::WithParamInterface<PageFormat> {};

INSTANTIATE_TEST_SUITE_P(Formats, LossyContextShiftTest, testing::Values(PageFormat::kF16, PageFormat::kQ8));

TEST_P(LossyContextShiftTest, RealRotationsStayCloseToTheTruth) {
  const bool bytes = GetParam() == PageFormat::kQ8;
  const auto format = static_cast<size_t>(GetParam());
  KvSequence sequence = Make(kGlobal, 0, GetParam());
  const std::vector<int32_t> ids(256, 1);
  ASSERT_TRUE(sequence.Extend(ids));
  const auto rope_at = [](float* key, int32_t position) {  // one pair, one radian per position
    const float angle = static_cast<float>(position);
    const float x = key[0], y = key[1];
    key[0] = x * std::cos(angle) - y * std::sin(angle);
    key[1] = x * std::sin(angle) + y * std::cos(angle);
  };
  const KvView view = sequence.View();
  const kernels::KernelTable& table = kernels::TableOf(kernels::BestIsa());
  std::vector<float> key(16), value(16, 0.25f);
  for (int layer = 0; layer < 2; ++layer) {
    for (int i = 0; i < 256; ++i) {
      key = {1.0f, 0.0f};
      key.resize(16);
      rope_at(key.data(), i);
      const WriteSlot slot = view.slot(layer, 0, i);
      table.store_kv[format](slot.page, 16, slot.slot, key.data(), value.data());
    }
  }
  sequence.Commit();
  ASSERT_TRUE(sequence.ShiftContext(0, 128, [&](int, float* k, int32_t delta) { rope_at(k, delta); }));
  for (int i = 0; i < 128; ++i) {
    const kernels::PageRef& page = sequence.View().pages(1, 0).refs[static_cast<size_t>(i / 64)];
    table.load_kv[format](page.data, 16, i % 64, key.data(), value.data());
    ASSERT_NEAR(key[0], std::cos(static_cast<float>(i)), bytes ? 1.2e-2f : 2e-3f);
    ASSERT_NEAR(key[1], std::sin(static_cast<float>(i)), bytes ? 1.2e-2f : 2e-3f);
    ASSERT_NEAR(value[5], 0.25f, bytes ? 5e-4f : 0.0f);
  }
}

}  // namespace
}  // namespace kvasir::kvcache
