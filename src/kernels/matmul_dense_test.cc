// The f32 matrix products of every instruction set against the reference: the same bits for every shape.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/test_matrices.h"

namespace kvasir::kernels {
namespace {

using tensor::DType;

constexpr DenseFormat kFormats[] = {DenseFormat::kF32, DenseFormat::kF16, DenseFormat::kBF16};

struct Shape {
  DenseFormat format;
  int64_t n;
  int64_t k;
  int64_t b;
  bool accumulate;
};

std::vector<float> RandomFloats(size_t count, uint64_t seed) {
  TestRandom random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = random.Signed();
  return values;
}

std::vector<float> Multiply(const KernelTable& table, const DenseWeights& weights, const float* x, int64_t x_stride,
                            int64_t rows, int64_t out_stride, bool accumulate) {
  std::vector<float> out(rows * out_stride, 0.25f);  // what lies between rows must stay
  table.matmul_dense(weights, 0, (weights.n + 15) / 16, x, x_stride, rows, out.data(), out_stride, accumulate);
  return out;
}

void CheckAgainstReference(const Shape& s) {
  const DenseMatrix dense = PackAsDense(RandomMatrix(DType::kF32, s.n, s.k, 11), s.format);
  const int64_t x_stride = s.k + 3;
  const std::vector<float> x = RandomFloats(s.b * x_stride + 1, 12);
  const auto multiply = [&](Isa isa) {  // x is not aligned to a vector
    return Multiply(TableOf(isa), dense.view, x.data() + 1, x_stride, s.b, s.n + 5, s.accumulate);
  };
  const std::vector<float> expected = multiply(Isa::kRef);
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kVnni}) {
    if (!IsaSupported(isa)) continue;
    const std::vector<float> actual = multiply(isa);
    ASSERT_EQ(std::memcmp(expected.data(), actual.data(), expected.size() * sizeof(float)), 0)
        << IsaName(isa) << " format " << static_cast<int>(s.format) << " N=" << s.n << " K=" << s.k << " B=" << s.b;
  }
}

TEST(MatmulDenseTest, EveryRowCount) {
  for (const DenseFormat format : kFormats) {
    for (int64_t b = 1; b <= 26; ++b) CheckAgainstReference({format, 33, 70, b, b % 2 == 0});
    for (const int64_t b : {64, 65, 200}) CheckAgainstReference({format, 33, 300, b, b % 2 == 0});
  }
}

TEST(MatmulDenseTest, EveryWidthAndDepth) {
  for (const DenseFormat format : kFormats) {
    for (const int64_t n : {1, 15, 16, 17, 31, 32, 33, 48, 320}) CheckAgainstReference({format, n, 100, 3, true});
    for (const int64_t k : {1, 7, 32, 255, 256, 257, 576, 640, 1536}) {
      CheckAgainstReference({format, 33, k, 2, false});
      CheckAgainstReference({format, 33, k, 15, true});
    }
  }
}

TEST(MatmulDenseTest, AnOutputDoesNotDependOnTheBatchOrTheRange) {
  constexpr int64_t kN = 100;
  constexpr int64_t kK = 600;
  constexpr int64_t kB = 30;
  const std::vector<float> x = RandomFloats(kB * kK, 3);
  for (const DenseFormat format : kFormats) {
    const DenseMatrix dense = PackAsDense(RandomMatrix(DType::kF32, kN, kK, 4), format);
    const KernelTable& table = TableOf(BestIsa());
    const std::vector<float> whole = Multiply(table, dense.view, x.data(), kK, kB, kN, false);
    for (int64_t b = 0; b < kB; ++b) {
      std::vector<float> alone(kN);
      for (int64_t panel = 0; panel < 7; panel += 3) {
        table.matmul_dense(dense.view, panel, std::min<int64_t>(7, panel + 3), x.data() + b * kK, kK, 1, alone.data(),
                           kN, false);
      }
      ASSERT_EQ(std::memcmp(alone.data(), whole.data() + b * kN, kN * sizeof(float)), 0) << "row " << b;
    }
  }
}

TEST(MatmulDenseTest, AccuracyAgainstDoublePrecision) {
  constexpr int64_t kN = 40;
  constexpr int64_t kK = 2048;
  const DenseMatrix dense = PackAsDense(RandomMatrix(DType::kF32, kN, kK, 6), DenseFormat::kF32);
  const std::vector<float> x = RandomFloats(kK, 7);
  const std::vector<float> out = Multiply(TableOf(BestIsa()), dense.view, x.data(), kK, 1, kN, false);
  std::vector<float> weights(kK);
  for (int64_t n = 0; n < kN; ++n) {
    UnpackDenseRow(dense.view, n, weights.data());
    double truth = 0;
    double magnitude = 0;
    for (int64_t i = 0; i < kK; ++i) {
      truth += static_cast<double>(weights[i]) * x[i];
      magnitude += std::abs(static_cast<double>(weights[i]) * x[i]);
    }
    EXPECT_NEAR(out[n], truth, magnitude * 1e-6);
  }
}

}  // namespace
}  // namespace kvasir::kernels
