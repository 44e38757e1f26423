// Quantisation of activations and the interleaving of dense rows: every instruction set against the reference.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/packed_block.h"
#include "kernels/test_matrices.h"

namespace kvasir::kernels {
namespace {

constexpr int64_t kK = 320;
constexpr int64_t kB = 19;  // two whole groups of rows, and one that is not

std::vector<Isa> AllIsas() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kVnni}) {
    if (IsaSupported(isa)) isas.push_back(isa);
  }
  return isas;
}

std::vector<float> RandomRows(uint64_t seed) {
  TestRandom random(seed);
  std::vector<float> x(kB * kK);
  for (float& value : x) value = std::ldexp(random.Signed(), random.Below(20) - 10);
  for (int64_t i = 0; i < 32; ++i) x[64 + i] = 0;                         // a block of zeros
  for (int64_t i = 0; i < 32; ++i) x[96 + i] = 1e-38f * random.Signed();  // one too small for a scale
  for (int64_t i = 0; i < 32; ++i) x[128 + i] = 3e38f * random.Signed();  // one of huge values
  for (int64_t i = 0; i < 32; ++i) x[160 + i] = static_cast<float>(random.Below(255) - 127) + 0.5f;  // ties
  x[160] = 127;
  return x;
}

TEST(QuantizeTest, EveryInstructionSetGivesTheBitsOfTheReference) {
  const std::vector<float> x = RandomRows(1);
  for (const int planes : {1, 2}) {
    TestRows expected(kB, kK, planes);
    TableOf(Isa::kRef).quantize_rows(x.data(), kK, 0, kB, 0, kK / 32, expected.view);
    for (const Isa isa : AllIsas()) {
      TestRows actual(kB, kK, planes);
      // The first group in parts, the others together; the blocks of k in two calls.
      TableOf(isa).quantize_rows(x.data(), kK, 0, 4, 0, kK / 32, actual.view);
      TableOf(isa).quantize_rows(x.data(), kK, 4, kB, 0, 3, actual.view);
      TableOf(isa).quantize_rows(x.data() + 3 * 32, kK, 4, kB, 3, kK / 32, actual.view);
      TestRows whole(kB, kK, planes);
      TableOf(isa).quantize_rows(x.data(), kK, 0, kB, 0, kK / 32, whole.view);
      EXPECT_EQ(whole.codes, expected.codes) << IsaName(isa);
      EXPECT_EQ(whole.scales, expected.scales) << IsaName(isa);
      EXPECT_EQ(whole.sums, expected.sums) << IsaName(isa);
      EXPECT_EQ(actual.codes, expected.codes) << IsaName(isa);
      EXPECT_EQ(actual.scales, expected.scales) << IsaName(isa);
      EXPECT_EQ(actual.sums, expected.sums) << IsaName(isa);
    }
  }
}

TEST(QuantizeTest, ErrorIsAtMostHalfAStep) {
  const std::vector<float> x = RandomRows(2);
  for (const int planes : {1, 2}) {
    const float limit = planes == 1 ? 127 : 16256;
    TestRows rows(kB, kK, planes);
    TableOf(BestIsa()).quantize_rows(x.data(), kK, 0, kB, 0, kK / 32, rows.view);
    for (int64_t b = 0; b < kB; ++b) {
      for (int64_t i = 0; i < kK; ++i) {
        float max = 0;
        for (int64_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) max = std::max(max, std::abs(x[b * kK + j]));
        const double value = static_cast<double>(ScaleAt(rows.view, b, i / 32)) * ActivationCode(rows.view, b, i);
        const double step = max < 1e-30f ? 2e-30 : max / limit;
        ASSERT_NEAR(value, x[b * kK + i], step * 0.50001) << "row " << b << " k " << i << " planes " << planes;
      }
    }
  }
}

TEST(QuantizeTest, NanAndInfinityShowInTheScale) {
  for (const Isa isa : AllIsas()) {
    for (const int planes : {1, 2}) {
      std::vector<float> x = RandomRows(3);
      x[5] = std::numeric_limits<float>::quiet_NaN();
      x[6] = std::numeric_limits<float>::infinity();
      x[40] = -std::numeric_limits<float>::infinity();
      TestRows rows(kB, kK, planes);
      TableOf(isa).quantize_rows(x.data(), kK, 0, kB, 0, kK / 32, rows.view);
      EXPECT_TRUE(std::isnan(ScaleAt(rows.view, 0, 0))) << IsaName(isa);
      EXPECT_TRUE(std::isinf(ScaleAt(rows.view, 0, 1))) << IsaName(isa);
      for (const int8_t code : rows.codes) ASSERT_GE(code, -127);
    }
  }
}

TEST(InterleavePanelTest, PutsRowsIntoLanes) {
  TestRandom random(4);
  for (const int64_t k : {1, 7, 8, 9, 16, 31, 64}) {
    const int64_t stride = k + 3;
    std::vector<float> rows(16 * stride);
    for (float& value : rows) value = random.Signed();
    for (const Isa isa : AllIsas()) {
      std::vector<float> panel(16 * k);
      TableOf(isa).interleave_panel(rows.data(), stride, k, panel.data());
      for (int64_t i = 0; i < k; ++i) {
        for (int64_t r = 0; r < 16; ++r) ASSERT_EQ(panel[16 * i + r], rows[r * stride + i]) << IsaName(isa);
      }
    }
  }
}

}  // namespace
}  // namespace kvasir::kernels
