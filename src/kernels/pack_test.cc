// Packed weights must stand for the values of the file: unpack(pack(x)) against DequantizeRow.
#include "kernels/pack.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/test_matrices.h"
#include "tensor/dequantize.h"

namespace kvasir::kernels {
namespace {

using tensor::DType;

constexpr DType kExact[] = {DType::kQ4_0, DType::kQ4_1,   DType::kQ5_0, DType::kQ5_1,
                            DType::kQ8_0, DType::kIQ4_NL, DType::kMXFP4};
constexpr DType kRounded[] = {DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_XS};

void ExpectSameValues(DType dtype, int64_t n, int64_t k, float tolerance) {
  SCOPED_TRACE(testing::Message() << tensor::DTypeName(dtype) << " [" << n << ", " << k << "]");
  const TestMatrix matrix = RandomMatrix(dtype, n, k, 7);
  const PackedMatrix packed = Pack(matrix);
  std::vector<float> expected(k), actual(k);
  for (int64_t row = 0; row < n; ++row) {
    tensor::DequantizeRow(dtype, matrix.row(row), expected.data(), k);
    UnpackRow(packed.view, row, actual.data());
    for (int64_t i = 0; i < k; ++i) {
      ASSERT_NEAR(expected[i], actual[i], tolerance) << "row " << row << " k " << i;
    }
  }
}

TEST(PackTest, ThirtyTwoElementFormatsAreExact) {
  for (const DType dtype : kExact) {
    for (const int64_t n : {1, 15, 16, 17, 33}) ExpectSameValues(dtype, n, 96, 0);
  }
}

// The largest |scale * code| and |min| of these matrices are below 2^3 (see RandomMatrix), each rounded by 2^-11.
TEST(PackTest, KQuantsAreExactUpToTheRoundingOfScales) {
  for (const DType dtype : kRounded) {
    for (const int64_t n : {1, 15, 16, 17, 33}) ExpectSameValues(dtype, n, 512, 0x1p-7f);
  }
}

TEST(PackTest, PanelsMayBePackedInAnyRanges) {
  for (const DType dtype : {DType::kQ4_1, DType::kQ6_K}) {
    const TestMatrix matrix = RandomMatrix(dtype, 70, 256, 3);
    const PackedMatrix whole = Pack(matrix);
    std::vector<std::byte> parts(whole.bytes.size(), std::byte{0xff});
    for (int64_t panel = 4; panel >= 0; --panel) {
      ASSERT_TRUE(PackPanels(dtype, matrix.bytes.data(), 70, 256, panel, panel + 1, parts.data()));
    }
    EXPECT_EQ(std::memcmp(parts.data(), whole.view.panels, parts.size()), 0);
  }
}

TEST(PackTest, PlansCoverEveryDequantisableTypeAndNothingElse) {
  for (int id = 0; id < 64; ++id) {
    const std::optional<DType> dtype = tensor::FromGgufId(id);
    if (!dtype) continue;
    const auto plan = PlanPack(*dtype, 17, 512);
    EXPECT_EQ(plan.has_value(), tensor::Traits(*dtype).dequantisable) << tensor::DTypeName(*dtype);
    if (plan && !plan->dense) {
      EXPECT_EQ(plan->bytes, size_t{2} * 16 * TraitsOf(plan->packed).block_bytes);
    }
  }
  EXPECT_FALSE(PlanPack(DType::kQ4_K, 16, 96).has_value());
}

TEST(PackTest, ScalesBeyondF16AreRefused) {
  TestMatrix matrix = RandomMatrix(DType::kMXFP4, 16, 32, 1);
  std::vector<std::byte> out(TraitsOf(PackedFormat::kW4Table).block_bytes);
  for (const int exponent : {0, 103, 144, 255}) {
    matrix.bytes[0] = static_cast<std::byte>(exponent);
    EXPECT_FALSE(PackPanels(DType::kMXFP4, matrix.bytes.data(), 16, 32, 0, 1, out.data())) << exponent;
  }
  for (const int exponent : {104, 143}) {
    matrix.bytes[0] = static_cast<std::byte>(exponent);
    EXPECT_TRUE(PackPanels(DType::kMXFP4, matrix.bytes.data(), 16, 32, 0, 1, out.data())) << exponent;
  }
  // A block of zeros is fine with any exponent.
  matrix.bytes[0] = std::byte{0};
  std::fill_n(matrix.bytes.begin() + 1, 16, std::byte{0x80});
  EXPECT_TRUE(PackPanels(DType::kMXFP4, matrix.bytes.data(), 16, 32, 0, 1, out.data()));
}

TEST(PackTest, DensePanelsKeepOrConvertTheElements) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ6_K}) {
    for (const DenseFormat format : {DenseFormat::kF32, DenseFormat::kF16, DenseFormat::kBF16}) {
      constexpr int64_t kN = 19;
      constexpr int64_t kK = 512;
      const TestMatrix matrix = RandomMatrix(dtype, kN, kK, 5);
      const DenseMatrix dense = PackAsDense(matrix, format);
      const bool same = format == DenseFormat::kF32 || PlanPack(dtype, kN, kK)->dense_format == format;
      std::vector<float> expected(kK), actual(kK);
      for (int64_t row = 0; row < kN; ++row) {
        tensor::DequantizeRow(dtype, matrix.row(row), expected.data(), kK);
        UnpackDenseRow(dense.view, row, actual.data());
        for (int64_t i = 0; i < kK; ++i) {
          const float tolerance = same && (dtype < DType::kQ4_0 || dtype == DType::kBF16 || format == DenseFormat::kF32)
                                      ? 0
                                      : std::abs(expected[i]) * 0x1p-8f + 0x1p-24f;
          ASSERT_NEAR(expected[i], actual[i], tolerance) << tensor::DTypeName(dtype) << " row " << row << " k " << i;
        }
      }
    }
  }
}

// Rows are moved 16 bytes at a time; what is left over is not forgotten.
TEST(PackTest, DensePanelsMayHaveAnyWidth) {
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    for (const int64_t k : {1, 3, 8, 21}) {
      const TestMatrix matrix = RandomMatrix(dtype, 19, k, 2);
      const DenseMatrix dense = PackAsDense(matrix, PlanPack(dtype, 19, k)->dense_format);
      std::vector<float> expected(k), actual(k);
      for (int64_t row = 0; row < 19; ++row) {
        tensor::DequantizeRow(dtype, matrix.row(row), expected.data(), k);
        UnpackDenseRow(dense.view, row, actual.data());
        EXPECT_EQ(expected, actual) << tensor::DTypeName(dtype) << " k " << k << " row " << row;
      }
    }
  }
}

}  // namespace
}  // namespace kvasir::kernels
