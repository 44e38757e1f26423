// The elementwise kernels of every instruction set against the reference in double: all short lengths, misaligned
// pointers, nothing written behind the end.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace kvasir::kernels {
namespace {

constexpr Isa kIsas[] = {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kVnni};
constexpr int kGuard = 20;
constexpr float kGuardValue = 12345.0f;

std::vector<int64_t> Lengths() {
  std::vector<int64_t> lengths;
  for (int64_t n = 1; n <= 70; ++n) lengths.push_back(n);
  lengths.insert(lengths.end(), {127, 128, 129, 576, 640, 1536, 2049});
  return lengths;
}

// n values behind `offset` floats, which decides the alignment, and before a guard.
class Row {
 public:
  Row(int64_t n, int offset, uint32_t seed, float scale = 1.0f) : n_(n), offset_(offset) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(0.0f, scale);
    storage_.assign(offset + n + kGuard, kGuardValue);
    for (int64_t i = 0; i < n; ++i) storage_[offset + i] = normal(engine);
  }
  float* data() { return storage_.data() + offset_; }
  float& operator[](int64_t i) { return storage_[offset_ + i]; }
  int64_t size() const { return n_; }
  bool guards_hold() const {
    for (int64_t i = 0; i < static_cast<int64_t>(storage_.size()); ++i) {
      const bool inside = i >= offset_ && i < offset_ + n_;
      if (!inside && storage_[i] != kGuardValue) return false;
    }
    return true;
  }

 private:
  int64_t n_;
  int offset_;
  std::vector<float> storage_;
};

void ExpectNear(Row& actual, Row& expected, float relative, float absolute) {
  for (int64_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], std::abs(expected[i]) * relative + absolute)
        << "element " << i << " of " << expected.size();
  }
  ASSERT_TRUE(actual.guards_hold());
}

class ElementwiseTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!IsaSupported(GetParam())) GTEST_SKIP() << "this machine does not run " << IsaName(GetParam());
  }
  const KernelTable& table() const { return TableOf(GetParam()); }
  const KernelTable& ref() const { return TableOf(Isa::kRef); }

  // Runs `kernel` with the table under test and the reference on the same random x and y, for all lengths.
  void Compare(const std::function<void(const KernelTable&, float* x, const float* y, int64_t n)>& kernel, float scale,
               float relative, float absolute) {
    for (const int64_t n : Lengths()) {
      for (const int offset : {0, 1, 5}) {
        Row x(n, offset, static_cast<uint32_t>(n), scale);
        Row y(n, (offset * 3) % 7, static_cast<uint32_t>(n) + 1);
        Row expected = x;
        kernel(table(), x.data(), y.data(), n);
        kernel(ref(), expected.data(), y.data(), n);
        ExpectNear(x, expected, relative, absolute);
        ASSERT_TRUE(y.guards_hold());
        if (HasFatalFailure()) return;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, ElementwiseTest, testing::ValuesIn(kIsas),
                         [](const auto& test) { return std::string(IsaName(test.param)); });

TEST_P(ElementwiseTest, RmsNorm) {
  for (const float scale : {1e-4f, 1.0f, 300.0f}) {
    Compare([](const KernelTable& t, float* x, const float* y, int64_t n) { t.rms_norm(x, y, n, 1e-6f, x); }, scale,
            2e-6f, 1e-12f);
  }
}

TEST_P(ElementwiseTest, RmsNormOfZerosIsZeros) {
  std::vector<float> x(33, 0.0f), weight(33, 2.0f), out(33, 5.0f);
  table().rms_norm(x.data(), weight.data(), 33, 1e-5f, out.data());
  for (const float v : out) EXPECT_EQ(v, 0.0f);
}

TEST_P(ElementwiseTest, SiluMul) {
  for (const float scale : {0.1f, 3.0f, 20.0f}) {
    Compare([](const KernelTable& t, float* x, const float* y, int64_t n) { t.silu_mul(x, y, n); }, scale, 6e-6f,
            1e-12f);
  }
}

TEST_P(ElementwiseTest, GeluMul) {
  // Relative accuracy is lost only where gelu has all but vanished (x < -4), hence the absolute part.
  for (const float scale : {0.1f, 1.0f, 10.0f}) {
    Compare([](const KernelTable& t, float* x, const float* y, int64_t n) { t.gelu_mul(x, y, n); }, scale, 3e-6f,
            1e-7f);
  }
}

TEST_P(ElementwiseTest, ActivationsOfExtremeInputsAreTheirLimits) {
  const std::vector<float> inputs = {-1e30f, -200.0f, 0.0f, 200.0f, 1e30f};
  const std::vector<float> limits = {0.0f, 0.0f, 0.0f, 200.0f, 1e30f};
  const std::vector<float> ones(5, 1.0f);
  std::vector<float> silu = inputs;
  table().silu_mul(silu.data(), ones.data(), 5);
  EXPECT_EQ(silu, limits);
  std::vector<float> gelu(inputs.begin() + 1, inputs.end() - 1);  // x^3 of 1e30 is no float
  table().gelu_mul(gelu.data(), ones.data(), 3);
  EXPECT_EQ(gelu, std::vector<float>(limits.begin() + 1, limits.end() - 1));
}

TEST_P(ElementwiseTest, AddAndScaleAreExact) {
  Compare([](const KernelTable& t, float* x, const float* y, int64_t n) { t.add(x, y, n); }, 1.0f, 0.0f, 0.0f);
  Compare([](const KernelTable& t, float* x, const float*, int64_t n) { t.scale(x, 0.37f, n); }, 1.0f, 0.0f, 0.0f);
}

TEST_P(ElementwiseTest, Softcap) {
  for (const float scale : {0.01f, 1.0f, 100.0f}) {
    Compare([](const KernelTable& t, float* x, const float*, int64_t n) { t.softcap(x, 30.0f, n); }, scale, 1e-6f,
            0.0f);
  }
}

TEST_P(ElementwiseTest, RopeTurnsPairsInBothLayouts) {
  for (const bool neox : {false, true}) {
    for (const int n_rot : {2, 4, 16, 30, 32, 64, 80, 96, 128, 256}) {
      for (const int offset : {0, 3}) {
        Row x(n_rot + 16, offset, 1);  // a head may be longer than what is rotated
        Row angles(n_rot / 2, 0, 2, 3.0f);
        Row cos = angles, sin = angles;
        for (int i = 0; i < n_rot / 2; ++i) {
          cos[i] = std::cos(angles[i]);
          sin[i] = std::sin(angles[i]);
        }
        Row expected = x;
        table().rope(x.data(), cos.data(), sin.data(), n_rot, neox);
        ref().rope(expected.data(), cos.data(), sin.data(), n_rot, neox);
        ExpectNear(x, expected, 0.0f, 1e-6f);
        for (int i = n_rot; i < n_rot + 16; ++i) ASSERT_EQ(x[i], expected[i]);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(ElementwiseTest, RopePairsAreTheOnesTheModelMeans) {
  const float cos[] = {0.0f, 1.0f};
  const float sin[] = {1.0f, 0.0f};  // a quarter turn of the first pair, none of the second
  float neighbours[] = {1, 2, 3, 4};
  table().rope(neighbours, cos, sin, 4, /*neox=*/false);
  EXPECT_EQ(std::vector<float>(neighbours, neighbours + 4), (std::vector<float>{-2, 1, 3, 4}));
  float halves[] = {1, 2, 3, 4};
  table().rope(halves, cos, sin, 4, /*neox=*/true);
  EXPECT_EQ(std::vector<float>(halves, halves + 4), (std::vector<float>{-3, 2, 1, 4}));
}

TEST_P(ElementwiseTest, VectorInstructionSetsAgreeBitForBit) {
  if (GetParam() == Isa::kRef || GetParam() == Isa::kAvx2) return;  // compared with avx2
  const KernelTable& avx2 = TableOf(Isa::kAvx2);
  const std::function<void(const KernelTable&, Row&, Row&)> kernels[] = {
      [](const KernelTable& t, Row& x, Row& y) { t.rms_norm(x.data(), y.data(), x.size(), 1e-6f, x.data()); },
      [](const KernelTable& t, Row& x, Row& y) { t.silu_mul(x.data(), y.data(), x.size()); },
      [](const KernelTable& t, Row& x, Row& y) { t.gelu_mul(x.data(), y.data(), x.size()); },
      [](const KernelTable& t, Row& x, Row&) { t.softcap(x.data(), 2.0f, x.size()); },
      [](const KernelTable& t, Row& x, Row& y) { t.rope(x.data(), y.data(), y.data() + 1, 64, true); },
      [](const KernelTable& t, Row& x, Row& y) { t.rope(x.data(), y.data(), y.data() + 1, 64, false); },
  };
  for (const auto& kernel : kernels) {
    Row x(203, 1, 5, 4.0f), y(203, 2, 6);
    Row expected = x;
    kernel(table(), x, y);
    kernel(avx2, expected, y);
    for (int64_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(x[i]), std::bit_cast<uint32_t>(expected[i])) << i;
    }
  }
}

}  // namespace
}  // namespace kvasir::kernels
