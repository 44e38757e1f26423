// The kernels of encoders on every instruction set against the reference in double: all short lengths, rows that are
// misaligned, hard numbers, nothing touched behind the end.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace kvasir::kernels {
namespace {

constexpr Isa kIsas[] = {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kVnni};
constexpr float kGuard = 12345.0F;

std::vector<float> Normal(size_t n, uint32_t seed, float mean, float deviation) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<float> values(n);
  for (float& value : values) value = normal(engine);
  return values;
}

std::vector<size_t> Lengths() {
  std::vector<size_t> lengths;
  for (size_t n = 1; n <= 70; ++n) lengths.push_back(n);
  lengths.insert(lengths.end(), {128, 129, 384, 512, 1536});
  return lengths;
}

class EncoderKernels : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!IsaSupported(GetParam())) GTEST_SKIP() << "this machine does not run " << IsaName(GetParam());
  }

  // Runs `kernel(table, x, n)` in place, `offset` floats behind an aligned address and with a guard on both sides, and
  // compares with the reference.
  template <typename Kernel>
  void Compare(const std::vector<float>& values, size_t offset, float relative, float absolute, const Kernel& kernel) {
    const size_t n = values.size();
    std::vector<float> actual(offset + n + 20, kGuard);
    std::copy(values.begin(), values.end(), actual.begin() + static_cast<std::ptrdiff_t>(offset));
    std::vector<float> expected = values;
    kernel(TableOf(GetParam()), actual.data() + offset, n);
    kernel(TableOf(Isa::kRef), expected.data(), n);
    for (size_t i = 0; i < actual.size(); ++i) {
      if (i < offset || i >= offset + n) {
        ASSERT_EQ(actual[i], kGuard) << "outside, at " << i;
      } else {
        const float wanted = expected[i - offset];
        ASSERT_NEAR(actual[i], wanted, std::abs(wanted) * relative + absolute) << i - offset << " of " << n;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, EncoderKernels, testing::ValuesIn(kIsas),
                         [](const auto& test) { return std::string(IsaName(test.param)); });

TEST_P(EncoderKernels, LayerNorm) {
  for (const size_t n : Lengths()) {
    const std::vector<float> weight = Normal(n, 2, 1, 0.2F);
    const std::vector<float> bias = Normal(n, 3, 0, 0.5F);
    for (const float mean : {0.0F, 3.0F, -100.0F}) {
      Compare(Normal(n, static_cast<uint32_t>(n), mean, 1), n % 3, 1e-5F, 4e-6F * (1 + std::abs(mean)),
              [&](const KernelTable& t, float* x, size_t count) {
                t.layer_norm(x, weight.data(), bias.data(), static_cast<int64_t>(count), 1e-5F, x);
              });
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(EncoderKernels, LayerNormByHand) {
  const float x[] = {1, 3};
  const float weight[] = {2, 2};
  const float bias[] = {10, 20};
  float out[2];
  TableOf(GetParam()).layer_norm(x, weight, bias, 2, 0, out);
  EXPECT_NEAR(out[0], 8, 1e-5);
  EXPECT_NEAR(out[1], 22, 1e-5);
  const std::vector<float> same(33, 5.0F);
  std::vector<float> flat(33);
  TableOf(GetParam()).layer_norm(same.data(), same.data(), same.data(), 33, 1e-12F, flat.data());
  for (const float v : flat) EXPECT_NEAR(v, 5, 1e-3) << "a row without variance is its bias";
}

TEST_P(EncoderKernels, GeluWithErf) {
  for (const size_t n : Lengths()) {
    Compare(Normal(n, static_cast<uint32_t>(n), 0, 2), n % 5, 3e-7F, 6e-7F,
            [](const KernelTable& t, float* x, size_t count) { t.gelu_erf(x, static_cast<int64_t>(count)); });
    if (HasFatalFailure()) return;
  }
  std::vector<float> grid;
  for (int i = -12'000; i <= 12'000; ++i) grid.push_back(static_cast<float>(i) * 0.001F);
  std::vector<float> gated = grid;
  TableOf(GetParam()).gelu_erf(gated.data(), static_cast<int64_t>(gated.size()));
  for (size_t i = 0; i < grid.size(); ++i) {
    const double v = grid[i];
    ASSERT_NEAR(gated[i], 0.5 * v * std::erfc(-v / std::sqrt(2.0)), 3e-7 * std::abs(v)) << v;
  }
}

TEST_P(EncoderKernels, GeluByHand) {
  float x[] = {0, 1, -1, 1e30F, -1e30F, 30, -30};
  TableOf(GetParam()).gelu_erf(x, 7);
  EXPECT_EQ(x[0], 0);
  EXPECT_NEAR(x[1], 0.841344746, 3e-7);
  EXPECT_NEAR(x[2], -0.158655254, 3e-7);
  EXPECT_EQ(x[3], 1e30F);
  EXPECT_EQ(x[4], 0);
  EXPECT_EQ(x[5], 30);
  EXPECT_NEAR(x[6], 0, 1e-30);
}

TEST_P(EncoderKernels, Softmax) {
  for (const size_t n : Lengths()) {
    for (const float deviation : {0.1F, 3.0F, 30.0F}) {
      Compare(Normal(n, static_cast<uint32_t>(n), 40, deviation), n % 4, 2e-5F, 1e-9F,
              [](const KernelTable& t, float* x, size_t count) { t.softmax(x, static_cast<int64_t>(count)); });
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(EncoderKernels, SoftmaxByHand) {
  float one[] = {-1e30F};
  TableOf(GetParam()).softmax(one, 1);
  EXPECT_EQ(one[0], 1);
  std::vector<float> negative(19, -200.0F);
  TableOf(GetParam()).softmax(negative.data(), 19);
  for (const float v : negative) EXPECT_NEAR(v, 1.0F / 19, 1e-7) << "the lanes behind the end do not count";
  float apart[] = {0, -1000, 1000};
  TableOf(GetParam()).softmax(apart, 3);
  EXPECT_EQ(apart[2], 1);
  EXPECT_EQ(apart[0], 0);
}

TEST_P(EncoderKernels, VectorInstructionSetsAgreeBitForBit) {
  if (GetParam() == Isa::kRef || GetParam() == Isa::kAvx2) return;  // compared with avx2
  const auto run = [](const KernelTable& t) {
    std::vector<float> x = Normal(203, 1, 0.5F, 3);
    const std::vector<float> y = Normal(203, 2, 1, 1);
    t.layer_norm(x.data(), y.data(), y.data(), 203, 1e-12F, x.data());
    t.gelu_erf(x.data(), 203);
    t.softmax(x.data(), 203);
    return x;
  };
  const std::vector<float> here = run(TableOf(GetParam()));
  const std::vector<float> there = run(TableOf(Isa::kAvx2));
  for (size_t i = 0; i < here.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(here[i]), std::bit_cast<uint32_t>(there[i])) << i;
  }
}

}  // namespace
}  // namespace kvasir::kernels
