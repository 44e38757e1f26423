#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <limits>

#include "tensor/tensor.h"

namespace kvasir::tensor {
namespace {

TEST(DTypeTest, IdsThatGgufRemovedOrNeverHadAreNoTypes) {
  for (const int64_t id : {-1, 4, 5, 31, 32, 33, 36, 37, 38, 43, 255, 256}) EXPECT_FALSE(FromGgufId(id)) << id;
  EXPECT_FALSE(FromGgufId(std::numeric_limits<int64_t>::min()));
  EXPECT_EQ(FromGgufId(39), DType::kMXFP4);
}

TEST(DTypeTest, EveryTypeHasANameThatFindsItAndASize) {
  int types = 0;
  for (int id = 0; id < 256; ++id) {
    const auto dtype = FromGgufId(id);
    if (!dtype) continue;
    ++types;
    EXPECT_EQ(DTypeFromName(DTypeName(*dtype)), dtype) << id;
    EXPECT_GT(Traits(*dtype).block_elements, 0) << id;
    EXPECT_GT(Traits(*dtype).block_bytes, 0) << id;
  }
  EXPECT_EQ(types, 35);
  EXPECT_EQ(DTypeFromName("q4_k"), DType::kQ4_K);
  EXPECT_FALSE(DTypeFromName("Q4"));
  EXPECT_FALSE(DTypeFromName(""));
}

TEST(DTypeTest, RowBytesCountsWholeBlocks) {
  EXPECT_EQ(RowBytes(DType::kF32, 5).value(), 20u);
  EXPECT_EQ(RowBytes(DType::kQ4_1, 576).value(), 576u / 32 * 20);
  EXPECT_EQ(RowBytes(DType::kQ6_K, 512).value(), 420u);
  EXPECT_EQ(RowBytes(DType::kQ6_K, 0).value(), 0u);
}

TEST(DTypeTest, RowBytesRefusesWhatCannotBeStored) {
  const auto ragged = RowBytes(DType::kQ4_K, 576);
  ASSERT_FALSE(ragged);
  EXPECT_EQ(ragged.error().message,
            "a row of 576 elements cannot be stored as Q4_K: its length must be a multiple of 256");
  EXPECT_FALSE(RowBytes(DType::kF32, -1));
  EXPECT_FALSE(RowBytes(DType::kF64, std::numeric_limits<int64_t>::max()));
  EXPECT_FALSE(RowBytes(static_cast<DType>(4), 32));
}

TEST(TensorViewTest, RowsAreAddressedByTheirStoredSize) {
  const std::byte data[3 * 40] = {};
  const TensorView view = {"w", DType::kQ4_1, 2, {64, 3, 1, 1}, data, sizeof data};
  EXPECT_EQ(view.elements(), 192);
  EXPECT_EQ(view.rows(), 3);
  EXPECT_EQ(view.row_bytes(), 40u);
  EXPECT_EQ(view.row(2), data + 80);
  EXPECT_EQ(view.span().size(), 120u);
}

}  // namespace
}  // namespace kvasir::tensor
