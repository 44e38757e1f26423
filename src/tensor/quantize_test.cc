#include "tensor/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/dequantize.h"
#include "tensor/fixture_file.h"

namespace kvasir::tensor {
namespace {

constexpr char kFixtures[] = KVASIR_SOURCE_DIR "/tests/fixtures/quant";

std::vector<uint8_t> Quantize(DType dtype, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(ValidRowBytes(dtype, static_cast<int64_t>(values.size())));
  QuantizeRow(dtype, values.data(), bytes.data(), static_cast<int64_t>(values.size()));
  return bytes;
}

std::vector<float> Dequantize(DType dtype, const std::vector<uint8_t>& bytes, size_t n) {
  std::vector<float> values(n);
  DequantizeRow(dtype, bytes.data(), values.data(), static_cast<int64_t>(n));
  return values;
}

class QuantizeFixtureTest : public testing::TestWithParam<const char*> {};

TEST_P(QuantizeFixtureTest, BytesEqualThePythonPackage) {
  const DType dtype = DTypeFromName(GetParam()).value();
  const bool plain_float = Traits(dtype).block_elements == 1;
  const auto input = ReadFixture<float>(kFixtures, plain_float ? "extreme.f32" : "quantize.f32");
  const auto expected = ReadFixture<uint8_t>(kFixtures, std::string(GetParam()) + ".quantized");
  ASSERT_FALSE(expected.empty());
  const auto actual = Quantize(dtype, input);
  ASSERT_EQ(actual.size(), expected.size());
  const auto difference = std::ranges::mismatch(actual, expected).in1 - actual.begin();
  EXPECT_EQ(difference, static_cast<std::ptrdiff_t>(actual.size()))
      << "first different byte, in block " << difference / Traits(dtype).block_bytes;
}

INSTANTIATE_TEST_SUITE_P(Formats, QuantizeFixtureTest,
                         testing::Values("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
                         [](const auto& format) { return std::string(format.param); });

TEST(QuantizeTest, ErrorIsWithinHalfAStepOfTheGrid) {
  const auto input = ReadFixture<float>(kFixtures, "quantize.f32");
  struct Case {
    DType dtype;
    float steps;  // of the grid over the block's range, or over its largest magnitude for symmetric formats
    bool symmetric;
  };
  for (const Case& test :
       {Case{DType::kQ4_1, 15, false}, Case{DType::kQ5_1, 31, false}, Case{DType::kQ8_0, 127, true}}) {
    const auto output = Dequantize(test.dtype, Quantize(test.dtype, input), input.size());
    for (size_t block = 0; block < input.size(); block += 32) {
      const auto [low, high] = std::minmax_element(input.begin() + block, input.begin() + block + 32);
      const float largest = std::max(std::fabs(*low), std::fabs(*high));
      const float step = (test.symmetric ? largest : *high - *low) / test.steps;
      // The f16 scale and minimum add their own rounding: 2^-11 relative, 2^-24 absolute (times the code).
      const float bound = 0.5f * step + largest * 0x1p-9f + (test.steps + 1) * 0x1p-24f;
      for (size_t i = block; i < block + 32; ++i) ASSERT_NEAR(output[i], input[i], bound) << DTypeName(test.dtype) << i;
    }
  }
}

TEST(QuantizeTest, WhatIsOnTheGridStaysWhereItIs) {
  // The scale is 0.5 and every code occurs, so that the scale found again is the same.
  std::vector<float> grid(32);
  for (int e = 0; e < 32; ++e) grid[static_cast<size_t>(e)] = 0.5f * static_cast<float>(e % 16 - 8);
  for (const DType dtype : {DType::kQ4_0, DType::kQ4_1, DType::kF16, DType::kBF16, DType::kF32}) {
    EXPECT_EQ(Dequantize(dtype, Quantize(dtype, grid), 32), grid) << DTypeName(dtype);
  }
  for (int e = 0; e < 32; ++e) grid[static_cast<size_t>(e)] = 0.5f * static_cast<float>(e - 16);
  for (const DType dtype : {DType::kQ5_0, DType::kQ5_1}) {
    EXPECT_EQ(Dequantize(dtype, Quantize(dtype, grid), 32), grid) << DTypeName(dtype);
  }
}

TEST(QuantizeTest, NonFiniteAndVanishingBlocksAreSafe) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const float odd : {kInf, -kInf, std::nanf(""), 1e-45f, -1e-40f, 3.4e38f}) {
    std::vector<float> block(32, 1.0f);
    block[3] = odd;
    std::vector<float> tiny(32, odd);
    for (const DType dtype : {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0}) {
      (void)Quantize(dtype, block);  // the sanitizers watch the conversions
      (void)Quantize(dtype, tiny);
    }
  }
}

TEST(QuantizeTest, SaysWhatItCanWrite) {
  EXPECT_TRUE(CanQuantize(DType::kQ8_0));
  EXPECT_FALSE(CanQuantize(DType::kQ4_K));
  EXPECT_FALSE(CanQuantize(DType::kI32));
}

}  // namespace
}  // namespace kvasir::tensor
