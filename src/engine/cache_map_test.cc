#include "engine/cache_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace kvasir {
namespace {

using kvcache::BlockHash;
using kvcache::HeldBlockInfo;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr BlockHash kRoot{.low = 1'000'000, .high = 0};
constexpr size_t kBytes = 100;

BlockHash Hash(int number) {
  return {.low = static_cast<uint64_t>(number), .high = 7};
}
// Block `number` behind block `parent`; 0 is the root.
HeldBlockInfo Block(int number, int parent) {
  return {.hash = Hash(number), .parent = parent == 0 ? kRoot : Hash(parent), .number = number, .bytes = kBytes};
}
RequestBlocks Reader(RequestId id, std::initializer_list<int> blocks, int further_tokens = 0) {
  RequestBlocks request{.id = id, .computed_tokens = static_cast<int>(blocks.size()) * 64 + further_tokens};
  for (const int block : blocks) request.blocks.push_back(Hash(block));
  return request;
}

TEST(CacheMap, OfNothingIsEmpty) {
  const CacheMap map = MakeCacheMap({}, {}, 10);
  EXPECT_THAT(map.segments, IsEmpty());
  EXPECT_THAT(map.requests, IsEmpty());
}

TEST(CacheMap, ATextThatNobodyReadsIsOneSegment) {
  const std::vector<HeldBlockInfo> held = {Block(1, 0), Block(2, 1), Block(3, 2)};
  const CacheMap map = MakeCacheMap(held, {}, 10);
  ASSERT_EQ(map.segments.size(), 1U);
  EXPECT_EQ(map.segments[0].id, 1);
  EXPECT_EQ(map.segments[0].parent, 0);
  EXPECT_EQ(map.segments[0].first_token, 0);
  EXPECT_EQ(map.segments[0].tokens, 192);
  EXPECT_EQ(map.segments[0].bytes, 3 * kBytes);
  EXPECT_THAT(map.segments[0].requests, IsEmpty());
}

// Two requests share blocks 1 and 2; one goes on in 3, the other in 4 and 5; nobody reads 6, behind 2 as well.
TEST(CacheMap, IsCutWhereTextsPartAndReadersChange) {
  const std::vector<HeldBlockInfo> held = {Block(1, 0), Block(2, 1), Block(3, 2),
                                           Block(4, 2), Block(5, 4), Block(6, 2)};
  const std::vector<RequestBlocks> requests = {Reader(9, {1, 2, 4, 5}, 10), Reader(8, {1, 2, 3}), Reader(7, {}, 30)};
  const CacheMap map = MakeCacheMap(held, requests, 10);
  ASSERT_EQ(map.segments.size(), 4U);
  EXPECT_EQ(map.segments[0].id, 1);
  EXPECT_EQ(map.segments[0].tokens, 128);
  EXPECT_THAT(map.segments[0].requests, ElementsAre(8, 9));
  EXPECT_EQ(map.segments[1].id, 3);
  EXPECT_EQ(map.segments[1].parent, 1);
  EXPECT_EQ(map.segments[1].first_token, 128);
  EXPECT_THAT(map.segments[1].requests, ElementsAre(8));
  EXPECT_EQ(map.segments[2].id, 4);
  EXPECT_EQ(map.segments[2].tokens, 128);
  EXPECT_THAT(map.segments[2].requests, ElementsAre(9));
  EXPECT_EQ(map.segments[3].id, 6);
  EXPECT_THAT(map.segments[3].requests, IsEmpty());
  ASSERT_EQ(map.requests.size(), 3U);
  EXPECT_EQ(map.requests[0].segment, 4);
  EXPECT_EQ(map.requests[0].tokens, 10);
  EXPECT_EQ(map.requests[1].segment, 3);
  EXPECT_EQ(map.requests[1].tokens, 0);
  EXPECT_EQ(map.requests[2].segment, 0) << "nothing of its text is held";
  EXPECT_EQ(map.requests[2].tokens, 30);
}

TEST(CacheMap, ARequestThatEndsWithinATextCutsIt) {
  const std::vector<HeldBlockInfo> held = {Block(1, 0), Block(2, 1), Block(3, 2)};
  const std::vector<RequestBlocks> requests = {Reader(5, {1}, 20)};
  const CacheMap map = MakeCacheMap(held, requests, 10);
  ASSERT_EQ(map.segments.size(), 2U);
  EXPECT_THAT(map.segments[0].requests, ElementsAre(5));
  EXPECT_EQ(map.segments[0].tokens, 64);
  EXPECT_EQ(map.segments[1].tokens, 128);
  EXPECT_EQ(map.requests[0].segment, 1);
}

// Random forests: whatever the limit, no byte is lost, each block is in one place, and parents come first.
TEST(CacheMap, AccountsForEveryBlock) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int blocks = static_cast<int>(random() % 40);
    std::vector<HeldBlockInfo> held;
    for (int i = 1; i <= blocks; ++i) held.push_back(Block(i, static_cast<int>(random() % static_cast<unsigned>(i))));
    std::ranges::shuffle(held, random);
    std::vector<RequestBlocks> requests;
    for (RequestId id = 1; id <= 5 && blocks > 0; ++id) {
      std::vector<int> chain;
      for (int at = 1 + static_cast<int>(random() % static_cast<unsigned>(blocks)); at != 0;) {
        chain.insert(chain.begin(), at);
        const auto info = std::ranges::find(held, Hash(at), &HeldBlockInfo::hash);
        at = info->parent == kRoot ? 0 : static_cast<int>(info->parent.low);
      }
      RequestBlocks request{.id = id, .computed_tokens = static_cast<int>(chain.size()) * 64};
      for (const int block : chain) request.blocks.push_back(Hash(block));
      requests.push_back(std::move(request));
    }
    const int limit = static_cast<int>(random() % 30);
    const CacheMap map = MakeCacheMap(held, requests, limit);
    EXPECT_LE(map.segments.size(), static_cast<size_t>(limit));
    size_t bytes = map.left_out_bytes;
    std::vector<int64_t> seen;
    for (const CacheSegment& segment : map.segments) {
      bytes += segment.bytes;
      EXPECT_EQ(segment.bytes, static_cast<size_t>(segment.tokens) / 64 * kBytes);
      if (segment.parent != 0) {
        EXPECT_TRUE(std::ranges::find(seen, segment.parent) != seen.end());
      }
      EXPECT_FALSE(std::ranges::find(seen, segment.id) != seen.end());
      seen.push_back(segment.id);
    }
    EXPECT_EQ(bytes, held.size() * kBytes);
    EXPECT_EQ(map.requests.size(), requests.size());
  }
}

}  // namespace
}  // namespace kvasir
