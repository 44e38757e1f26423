#include "kvcache/page_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "kvcache/codec.h"
#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {
namespace {

using kernels::kPageTokens;
using testing::ElementsAreArray;

constexpr int kHeadDim = 16;
constexpr int32_t kFirstPosition = 3 * kPageTokens;

// Keys (and their negatives, the values) of which CompactStoreForTest keeps all that is not zero. f32, so exact.
class PageReaderTest : public testing::Test {
 protected:
  PageReaderTest() {
    keys_.resize(static_cast<size_t>(kPageTokens * kHeadDim));
    for (size_t slot = 0; slot < kPageTokens; ++slot) {
      keys_[slot * kHeadDim] = static_cast<float>(kFirstPosition + slot);
      keys_[slot * kHeadDim + 1] = static_cast<float>(slot % 7);
    }
    for (const float key : keys_) values_.push_back(-key);
  }
  // Reads `count` tokens of a page behind two numbers that are there already.
  void ExpectRead(const PageReader& reader, const kernels::PageRef& page) {
    std::vector<float> keys = {1, 2};
    std::vector<float> values = {3};
    reader.Append(0, 0, page, &keys, &values);
    std::vector<float> expected_keys = {1, 2};
    std::vector<float> expected_values = {3};
    const auto end = static_cast<std::ptrdiff_t>(page.count) * kHeadDim;
    expected_keys.insert(expected_keys.end(), keys_.begin(), keys_.begin() + end);
    expected_values.insert(expected_values.end(), values_.begin(), values_.begin() + end);
    EXPECT_THAT(keys, ElementsAreArray(expected_keys));
    EXPECT_THAT(values, ElementsAreArray(expected_values));
  }
  std::vector<float> keys_, values_;  // [64][D]
};

TEST_F(PageReaderTest, AppendsTheTokensOfAnOpenPageThatAreThere) {
  const Codec& codec = NativeCodec(kernels::PageFormat::kF32);
  std::vector<std::byte> page(codec.PageBytes(kHeadDim));
  codec.Encode(kernels::TableOf(kernels::Isa::kRef), page.data(), kHeadDim, keys_.data(), values_.data());
  const PageReader reader = {.open = kernels::PageFormat::kF32, .head_dim = kHeadDim};
  for (const int count : {0, 1, 63, 64}) {
    ExpectRead(reader, {.data = page.data(), .first_position = kFirstPosition, .count = count});
  }
}

TEST_F(PageReaderTest, AppendsTheTokensOfACompactPageAsTheyAreAtItsPosition) {
  for (const bool position_free : {false, true}) {
    const CompactStoreForTest store(CompactRule{}, position_free);
    std::vector<std::byte> page(store.PageBytes(0));
    store.Encode(0, 0, kFirstPosition, keys_, values_, page.data());
    const PageReader reader = {.open = kernels::PageFormat::kF32, .compact = &store, .head_dim = kHeadDim};
    for (const int count : {1, 63, 64}) {
      ExpectRead(reader, {.data = page.data(), .first_position = kFirstPosition, .count = count, .compact = true});
    }
  }
}

}  // namespace
}  // namespace kvasir::kvcache
