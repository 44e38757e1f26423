#include "kernels/page_elements.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace kvasir::kernels {
namespace {

TEST(PageElementsTest, AreReadAndWrittenAtAnyAddress) {
  for (size_t misalignment = 0; misalignment < 4; ++misalignment) {
    std::array<std::byte, 24> bytes{};
    std::byte* array = bytes.data() + misalignment;
    WriteElement(array, 1, 0x01020304U);
    WriteElement(array, 4, uint16_t{0x0506});
    EXPECT_EQ(ReadElement<uint32_t>(array, 0), 0U);
    EXPECT_EQ(ReadElement<uint32_t>(array, 1), 0x01020304U);
    EXPECT_EQ(ReadElement<uint32_t>(array, 2), 0x0506U);
    EXPECT_EQ(ReadElement<uint16_t>(array, 4), 0x0506U);
  }
}

TEST(PageElementsTest, WhatF16CannotHoldSaturates) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float large : {65504.0F, 65520.0F, 1e9F, kInfinity}) {
    EXPECT_EQ(tensor::F16ToF32(SaturatedF16(large)), 65504.0F);
    EXPECT_EQ(tensor::F16ToF32(SaturatedF16(-large)), -65504.0F);
  }
  EXPECT_EQ(tensor::F16ToF32(SaturatedF16(1.5F)), 1.5F);
  EXPECT_TRUE(std::isnan(tensor::F16ToF32(SaturatedF16(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace kvasir::kernels
