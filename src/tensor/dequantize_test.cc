#include "tensor/dequantize.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "tensor/blocks.h"
#include "tensor/fixture_file.h"
#include "tensor/half.h"

namespace kvasir::tensor {
namespace {

constexpr char kFixtures[] = KVASIR_SOURCE_DIR "/tests/fixtures/quant";

class DequantizeFixtureTest : public testing::TestWithParam<const char*> {};

TEST_P(DequantizeFixtureTest, BitsEqualThePythonPackage) {
  const DType dtype = DTypeFromName(GetParam()).value();
  const auto blocks = ReadFixture<uint8_t>(kFixtures, std::string(GetParam()) + ".blocks");
  const auto expected = ReadFixture<float>(kFixtures, std::string(GetParam()) + ".f32");
  ASSERT_FALSE(expected.empty());
  ASSERT_EQ(blocks.size(), ValidRowBytes(dtype, static_cast<int64_t>(expected.size())));
  std::vector<float> actual(expected.size());
  DequantizeRow(dtype, blocks.data(), actual.data(), static_cast<int64_t>(actual.size()));
  // A 16-bit float that is NaN keeps its payload; a NaN that arithmetic made has none that is worth comparing.
  const bool plain_float = Traits(dtype).block_elements == 1;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && !plain_float) {
      ASSERT_TRUE(std::isnan(actual[i])) << "element " << i;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(actual[i]), std::bit_cast<uint32_t>(expected[i])) << "element " << i;
    }
  }
}

TEST_P(DequantizeFixtureTest, BlocksMayStartAtAnyByteAndBeTakenInPieces) {
  const DType dtype = DTypeFromName(GetParam()).value();
  const auto blocks = ReadFixture<uint8_t>(kFixtures, std::string(GetParam()) + ".blocks");
  const auto expected = ReadFixture<float>(kFixtures, std::string(GetParam()) + ".f32");
  std::vector<uint8_t> shifted(blocks.size() + 1);
  std::memcpy(shifted.data() + 1, blocks.data(), blocks.size());
  const int step = Traits(dtype).block_elements;
  std::vector<float> piece(static_cast<size_t>(step));
  for (int64_t first = 0; first < static_cast<int64_t>(expected.size()); first += step) {
    DequantizeRow(dtype, shifted.data() + 1 + ValidRowBytes(dtype, first), piece.data(), step);
    for (int i = 0; i < step; ++i) {
      const float value = expected[static_cast<size_t>(first + i)];
      if (!std::isnan(value)) {
        ASSERT_EQ(piece[i], value) << first + i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, DequantizeFixtureTest,
                         testing::Values("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
                                         "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"),
                         [](const auto& format) { return std::string(format.param); });

TEST(DequantizeTest, F32IsCopied) {
  const float source[3] = {1.5f, -0.0f, 3e38f};
  float copy[3] = {};
  DequantizeRow(DType::kF32, source, copy, 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(std::bit_cast<uint32_t>(copy[i]), std::bit_cast<uint32_t>(source[i]));
  DequantizeRow(DType::kF32, source, copy, 0);
}

// Random blocks hide a swap of two positions that a formula gets wrong in the same way twice; one non-zero code in an
// otherwise zero block does not. The positions are worked out here from the format's description, not from the code.
TEST(DequantizeTest, Q6KCodeAtEachPositionReachesItsElement) {
  for (int e = 0; e < kSuperBlock; ++e) {
    BlockQ6_K block = {};
    std::memset(block.high, 0b10101010, sizeof block.high);  // code 32 everywhere, which stands for zero
    for (int s = 0; s < 16; ++s) block.scales[s] = static_cast<int8_t>(s % 2 == 0 ? s + 1 : -s - 1);
    block.d = F32ToF16(1.0f);
    const int half = e / 128;
    const int quarter = e % 128 / 32;
    const int l = e % 32;
    const int code = e % 63 + 1;  // 1..63, also below 32
    block.low[64 * half + (quarter % 2 == 1 ? 32 : 0) + l] =
        static_cast<uint8_t>(quarter < 2 ? code & 15 : (code & 15) << 4);
    auto& high = block.high[32 * half + l];
    high = static_cast<uint8_t>((high & ~(3 << (2 * quarter))) | ((code >> 4) << (2 * quarter)));
    float values[kSuperBlock];
    DequantizeRow(DType::kQ6_K, &block, values, kSuperBlock);
    const int scale = block.scales[e / 16];
    for (int i = 0; i < kSuperBlock; ++i) {
      const float expected = i == e ? static_cast<float>(scale * (code - 32)) : 0.0f;
      ASSERT_EQ(values[i], expected) << "code at " << e << ", element " << i;
    }
  }
}

TEST(DequantizeTest, Q3KCodeAtEachPositionReachesItsElement) {
  for (int e = 0; e < kSuperBlock; ++e) {
    BlockQ3_K block = {};
    std::memset(block.high, 0xff, sizeof block.high);  // high bit set: no offset, so code 0 stands for zero
    int scale[16];
    for (int s = 0; s < 16; ++s) {
      scale[s] = (s * 37 + 5) % 64;  // sixteen different 6-bit scales
      block.scales[s % 8] = static_cast<uint8_t>(block.scales[s % 8] | ((scale[s] & 15) << (s < 8 ? 0 : 4)));
      block.scales[8 + s % 4] = static_cast<uint8_t>(block.scales[8 + s % 4] | ((scale[s] >> 4) << (2 * (s / 4))));
    }
    block.d = F32ToF16(0.5f);
    const int low = e % 3 + 1;
    const bool has_high = e % 5 != 0;
    const int half = e / 128;
    const int plane = e % 128 / 32;
    block.codes[32 * half + e % 32] = static_cast<uint8_t>(low << (2 * plane));
    if (!has_high) block.high[e % 32] = static_cast<uint8_t>(block.high[e % 32] & ~(1 << (4 * half + plane)));
    float values[kSuperBlock];
    DequantizeRow(DType::kQ3_K, &block, values, kSuperBlock);
    const int own_scale = scale[e / 16] - 32;
    for (int i = 0; i < kSuperBlock; ++i) {
      const int code = has_high ? low : low - 4;
      const float expected = i == e ? 0.5f * static_cast<float>(own_scale * code) : 0.0f;
      ASSERT_EQ(values[i], expected) << "code at " << e << ", element " << i;
    }
  }
}

TEST(DequantizeDeathTest, RefusesWhatTheCallerShouldHaveChecked) {
  float value[32];
  const uint8_t bytes[66] = {};
  EXPECT_DEATH(DequantizeRow(DType::kIQ2_XXS, bytes, value, 256), "internal error");
  EXPECT_DEATH(DequantizeRow(DType::kQ4_0, bytes, value, 31), "internal error");
}

}  // namespace
}  // namespace kvasir::tensor
