#include "base/aligned.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace kvasir::base {
namespace {

TEST(AlignedBufferTest, IsAlignedZeroAndWritableAtEverySize) {
  for (const auto pages : {AlignedBuffer::Pages::kNormal, AlignedBuffer::Pages::kHuge}) {
    for (const size_t bytes : {size_t{1}, size_t{63}, size_t{64}, size_t{4097}, size_t{1} << 20, (size_t{1} << 20) + 1,
                               (size_t{2} << 20) - 1, size_t{2} << 20, (size_t{5} << 20) + 3}) {
      auto buffer = AlignedBuffer::Create(bytes, pages);
      ASSERT_TRUE(buffer) << bytes;
      EXPECT_EQ(buffer->size(), bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % kCacheLineBytes, 0u);
      const auto values = buffer->as<uint8_t>();
      EXPECT_TRUE(std::ranges::all_of(values, [](uint8_t value) { return value == 0; })) << bytes;
      std::ranges::fill(values, uint8_t{7});
    }
  }
}

TEST(AlignedBufferTest, MovesWithoutCopying) {
  auto buffer = AlignedBuffer::Create(100).value();
  std::byte* where = buffer.data();
  AlignedBuffer moved = std::move(buffer);
  EXPECT_EQ(moved.data(), where);
  AlignedBuffer assigned = AlignedBuffer::Create(size_t{3} << 20, AlignedBuffer::Pages::kHuge).value();
  assigned = std::move(moved);
  EXPECT_EQ(assigned.data(), where);
  EXPECT_EQ(assigned.as<float>().size(), 25u);
}

TEST(AlignedBufferTest, NothingIsABufferToo) {
  const auto none = AlignedBuffer::Create(0);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
  EXPECT_EQ(none->data(), nullptr);
  EXPECT_TRUE(none->as<double>().empty());
}

TEST(AlignedBufferTest, ImpossibleSizesAreErrors) {
  for (const size_t bytes :
       {std::numeric_limits<size_t>::max(), std::numeric_limits<size_t>::max() - (4u << 20), size_t{1} << 62}) {
    const auto buffer = AlignedBuffer::Create(bytes, AlignedBuffer::Pages::kHuge);
    ASSERT_FALSE(buffer);
    EXPECT_EQ(buffer.error().code, ErrorCode::kResourceExhausted);
    EXPECT_NE(buffer.error().message.find(std::to_string(bytes)), std::string::npos);
  }
}

}  // namespace
}  // namespace kvasir::base
