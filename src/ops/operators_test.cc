#include "ops/operators.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "tensor/quantize.h"

namespace kvasir::ops {
namespace {

std::vector<float> RandomFloats(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(base::RandomUniform(seed, i) * 2 - 1);
  return values;
}

// A random matrix [n, k] in Q8_0, as a file would hold it.
struct Matrix {
  std::vector<std::byte> bytes;
  tensor::TensorView view;
};
Matrix RandomMatrix(int64_t k, int64_t n, uint64_t seed) {
  Matrix matrix;
  const std::vector<float> values = RandomFloats(static_cast<size_t>(k * n), seed);
  matrix.bytes.resize(tensor::ValidRowBytes(tensor::DType::kQ8_0, k) * static_cast<size_t>(n));
  tensor::QuantizeRow(tensor::DType::kQ8_0, values.data(), matrix.bytes.data(), k * n);
  matrix.view = {"matrix", tensor::DType::kQ8_0, 2, {k, n, 1, 1}, matrix.bytes.data(), matrix.bytes.size()};
  return matrix;
}

std::unique_ptr<Operators> MakeOperators(base::ThreadPool& pool) {
  return std::move(Operators::Create(pool, {.max_rows = 64, .max_k = 256, .source_weights = true})).value();
}

double RelativeError(std::span<const float> got, std::span<const float> want) {
  double error = 0;
  double norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error += std::pow(got[i] - want[i], 2);
    norm += std::pow(want[i], 2);
  }
  return std::sqrt(error / norm);
}

TEST(Operators, ProductsAgreeInTheOrderOfTheirPrecision) {
  base::ThreadPool pool(2);
  const auto ops = MakeOperators(pool);
  const Matrix matrix = RandomMatrix(256, 83, 1);
  const Weight source = std::move(Weight::FromSource(matrix.view)).value();
  const Weight packed = std::move(Weight::Pack(matrix.view, pool)).value();
  for (const int rows : {1, 3, 40}) {
    const std::vector<float> x = RandomFloats(static_cast<size_t>(rows) * 256, 2);
    const auto product = [&](const Weight& weight, Precision precision) {
      std::vector<float> out(static_cast<size_t>(rows) * 83);
      ops->Project(ops->Quantize(x.data(), rows, 256, precision), {{&weight, out.data()}});
      return out;
    };
    const std::vector<float> exact = product(source, Precision::kF32);
    EXPECT_LT(RelativeError(product(packed, Precision::k8Bit), exact), 0.01);
    EXPECT_LT(RelativeError(product(packed, Precision::k15Bit), exact), 0.0001);
    EXPECT_GT(RelativeError(product(packed, Precision::k8Bit), exact), 0.0005);
  }
}

TEST(Operators, OneProjectOfThreeWeightsIsThreeProjects) {
  base::ThreadPool pool(3);
  const auto ops = MakeOperators(pool);
  const std::vector<float> x = RandomFloats(10 * 128, 3);
  const Matrix matrices[] = {RandomMatrix(128, 48, 4), RandomMatrix(128, 17, 5), RandomMatrix(128, 33, 6)};
  std::vector<Weight> weights;
  for (const Matrix& matrix : matrices) weights.push_back(std::move(Weight::Pack(matrix.view, pool)).value());
  weights[1].set_bias(RandomFloats(17, 7));
  std::vector<float> together[3];
  std::vector<float> apart[3];
  for (size_t i = 0; i < 3; ++i) {
    together[i].resize(static_cast<size_t>(10 * weights[i].n()));
    apart[i].resize(together[i].size());
  }
  const Activation activation = ops->Quantize(x.data(), 10, 128, Precision::k8Bit);
  ops->Project(
      activation,
      {{&weights[0], together[0].data()}, {&weights[1], together[1].data()}, {&weights[2], together[2].data()}});
  for (size_t i = 0; i < 3; ++i) {
    ops->Project(activation, {{&weights[i], apart[i].data()}});
    EXPECT_EQ(together[i], apart[i]) << i;
  }
}

TEST(Operators, ProjectAddAddsAndGatedProjectGates) {
  base::ThreadPool pool(2);
  const auto ops = MakeOperators(pool);
  constexpr int64_t kF = 224;  // 14 panels: more than the gate's outputs of one piece
  const Matrix up_matrix = RandomMatrix(64, kF, 8);
  const Matrix gate_matrix = RandomMatrix(64, kF, 9);
  const Matrix next_matrix = RandomMatrix(kF, 40, 11);
  const Weight up = std::move(Weight::Pack(up_matrix.view, pool)).value();
  const Weight gate = std::move(Weight::Pack(gate_matrix.view, pool)).value();
  const Weight next = std::move(Weight::Pack(next_matrix.view, pool)).value();
  const Weight exact_next = std::move(Weight::FromSource(next_matrix.view)).value();
  for (const int rows : {1, 5, 40}) {
    const std::vector<float> x = RandomFloats(static_cast<size_t>(rows) * 64, 10);
    const Activation activation = ops->Normalize(x.data(), rows, std::vector<float>(64, 1.0F), 0, Precision::k15Bit);
    std::vector<float> u(static_cast<size_t>(rows * kF));
    std::vector<float> g(u.size());
    ops->Project(activation, {{&up, u.data()}, {&gate, g.data()}});

    std::vector<float> sum(u.size(), 1.0F);
    ops->ProjectAdd(activation, up, sum.data());
    std::vector<float> gated(u.size());
    std::vector<float> scratch(u.size());
    const Activation in_f32 = ops->GatedProject(activation, gate, up, GateFunction::kSilu, exact_next,
                                                Precision::k15Bit, gated.data(), scratch.data());
    ASSERT_FALSE(in_f32.quantised);  // the next weight wants f32
    for (size_t i = 0; i < u.size(); ++i) {
      EXPECT_NEAR(sum[i], 1 + u[i], 1e-4);
      EXPECT_NEAR(gated[i], g[i] / (1 + std::exp(-g[i])) * u[i], 1e-4);
    }
    std::vector<float> expected(static_cast<size_t>(rows) * 40);
    ops->Project(in_f32, {{&exact_next, expected.data()}});

    const Activation quantised =
        ops->GatedProject(activation, gate, up, GateFunction::kSilu, next, Precision::k15Bit, nullptr, nullptr);
    ASSERT_TRUE(quantised.quantised);
    std::vector<float> out(expected.size());
    ops->Project(quantised, {{&next, out.data()}});
    EXPECT_LT(RelativeError(out, expected), 0.0001) << rows;
  }
}

// -- Rotations -----------------------------------------------------------------------------------------------------

TEST(Rope, YarnWithoutScalingIsPlain) {
  const RopeSpec spec = YarnRope(64, 10000, {.factor = 1, .original_context = 4096});
  EXPECT_EQ(spec.frequencies, BaseFrequencies(64, 10000));
  EXPECT_EQ(spec.magnitude, 1.0F);
}

TEST(Rope, YarnKeepsFastPairsAndStretchesSlowOnes) {
  const std::vector<double> plain = BaseFrequencies(128, 10000);
  const RopeSpec spec = YarnRope(128, 10000, {.factor = 4, .original_context = 4096});
  EXPECT_EQ(spec.frequencies.front(), plain.front());
  EXPECT_DOUBLE_EQ(spec.frequencies.back(), plain.back() / 4);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_LE(spec.frequencies[i], plain[i]);
    EXPECT_GE(spec.frequencies[i], plain[i] / 4 * (1 - 1e-12));
  }
  EXPECT_FLOAT_EQ(spec.magnitude, static_cast<float>(1 + 0.1 * std::log(4.0)));
}

TEST(Rope, AnglesStayExactFarOut) {
  const RopeSpec spec{.frequencies = {1.0}};
  const int32_t position = 1'000'000;
  float cos = 0;
  float sin = 0;
  RopeTables(spec, {&position, 1}, &cos, &sin);
  EXPECT_FLOAT_EQ(cos, static_cast<float>(std::cos(1e6)));
  EXPECT_FLOAT_EQ(sin, static_cast<float>(std::sin(1e6)));
}

}  // namespace
}  // namespace kvasir::ops
