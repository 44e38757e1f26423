#include "ops/operators.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "kvcache/kv_sequence.h"
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
  const Matrix up_matrix = RandomMatrix(64, 50, 8);
  const Matrix gate_matrix = RandomMatrix(64, 50, 9);
  const Weight up = std::move(Weight::Pack(up_matrix.view, pool)).value();
  const Weight gate = std::move(Weight::Pack(gate_matrix.view, pool)).value();
  const std::vector<float> x = RandomFloats(5 * 64, 10);
  const Activation activation = ops->Quantize(x.data(), 5, 64, Precision::k15Bit);
  std::vector<float> u(250);
  std::vector<float> g(250);
  ops->Project(activation, {{&up, u.data()}, {&gate, g.data()}});

  std::vector<float> sum(250, 1.0F);
  ops->ProjectAdd(activation, up, sum.data());
  std::vector<float> gated(250);
  std::vector<float> scratch(250);
  ops->GatedProject(activation, gate, up, GateFunction::kSilu, gated.data(), scratch.data());
  for (size_t i = 0; i < 250; ++i) {
    EXPECT_NEAR(sum[i], 1 + u[i], 1e-4);
    EXPECT_NEAR(gated[i], g[i] / (1 + std::exp(-g[i])) * u[i], 1e-4);
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

// -- Attention -----------------------------------------------------------------------------------------------------

struct AttentionCase {
  int context;
  int rows;
  int window;
  float softcap;
};

class AttendTest : public testing::TestWithParam<AttentionCase> {};

// Attention over pages equals the definition, computed in double from the rotated keys.
TEST_P(AttendTest, EqualsTheDefinition) {
  const auto [context, rows, window, softcap] = GetParam();
  constexpr int kHeads = 6;
  constexpr int kKvHeads = 2;
  constexpr int kDim = 32;
  base::ThreadPool threads(2);
  const auto ops = MakeOperators(threads);
  const auto pool = std::move(kvcache::PagePool::Create(64 << 20)).value();
  kvcache::KvOptions options{.format = kernels::PageFormat::kF32};
  auto sequence = std::move(kvcache::KvSequence::Create(*pool, {1, kKvHeads, kDim, {}}, options)).value();
  const RopeSpec still{.frequencies = std::vector<double>(kDim / 2, 0.0)};
  const AttentionSpec spec{.layer = 0,
                           .heads = kHeads,
                           .kv_heads = kKvHeads,
                           .head_dim = kDim,
                           .scale = 0.3F,
                           .window = window,
                           .softcap = softcap};

  std::vector<float> keys = RandomFloats(static_cast<size_t>(context) * kKvHeads * kDim, 11);
  const std::vector<float> values = RandomFloats(keys.size(), 12);
  std::vector<float> queries = RandomFloats(static_cast<size_t>(context) * kHeads * kDim, 13);
  std::vector<float> out(static_cast<size_t>(rows) * kHeads * kDim);
  for (int begin = 0; begin < context;) {
    const int count = std::min(context - begin, begin + rows < context ? std::min(64, context - rows - begin) : rows);
    const std::vector<int32_t> tokens(static_cast<size_t>(count), 1);
    ASSERT_TRUE(sequence.Extend(tokens).has_value());
    std::vector<int32_t> positions(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) positions[static_cast<size_t>(i)] = begin + i;
    const kvcache::KvView view = sequence.View();
    const SequenceRows sequence_rows{&view, 0, count};
    const Batch batch{.tokens = tokens, .positions = positions, .sequences = {&sequence_rows, 1}, .logit_rows = {}};
    ops->BeginStep(batch, {&still, 1});
    float* q = queries.data() + static_cast<size_t>(begin) * kHeads * kDim;
    ops->PrepareHeads(batch, spec, {}, q, keys.data() + static_cast<size_t>(begin) * kKvHeads * kDim,
                      values.data() + static_cast<size_t>(begin) * kKvHeads * kDim);
    if (begin + count == context) ops->Attend(batch, spec, q, out.data());
    sequence.Commit();
    begin += count;
  }

  for (int row = 0; row < rows; ++row) {
    const int position = context - rows + row;
    const int first = window == 0 ? 0 : std::max(0, position - window + 1);
    for (int h = 0; h < kHeads; ++h) {
      const int kv_head = h / (kHeads / kKvHeads);
      std::vector<double> want(kDim, 0.0);
      double sum = 0;
      for (int s = first; s <= position; ++s) {
        double score = 0;
        for (int d = 0; d < kDim; ++d) {
          score += static_cast<double>(queries[(static_cast<size_t>(position) * kHeads + h) * kDim + d]) *
                   keys[(static_cast<size_t>(s) * kKvHeads + kv_head) * kDim + d];
        }
        score *= static_cast<double>(spec.scale);
        if (softcap != 0) score = softcap * std::tanh(score / softcap);
        sum += std::exp(score);
        for (int d = 0; d < kDim; ++d) {
          want[static_cast<size_t>(d)] +=
              std::exp(score) * values[(static_cast<size_t>(s) * kKvHeads + kv_head) * kDim + d];
        }
      }
      for (int d = 0; d < kDim; ++d) {
        EXPECT_NEAR(out[(static_cast<size_t>(row) * kHeads + h) * kDim + d], want[static_cast<size_t>(d)] / sum, 2e-6)
            << "row " << row << " head " << h << " feature " << d;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttendTest,
                         testing::Values(AttentionCase{1, 1, 0, 0}, AttentionCase{64, 64, 0, 0},
                                         AttentionCase{300, 1, 0, 0}, AttentionCase{300, 5, 0, 0},
                                         AttentionCase{600, 33, 0, 0}, AttentionCase{600, 1, 100, 0},
                                         AttentionCase{600, 40, 70, 0}, AttentionCase{300, 20, 0, 2.0F}));

}  // namespace
}  // namespace kvasir::ops
