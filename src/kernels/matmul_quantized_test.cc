// The integer matrix products of every instruction set against the reference: the same bits for every shape.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/packed_block.h"
#include "kernels/test_matrices.h"
#include "tensor/dequantize.h"

namespace kvasir::kernels {
namespace {

using tensor::DType;

// One source type for each packed format, and every way in which a packed format can be reached is covered by PackTest.
constexpr DType kTypes[] = {DType::kQ4_0, DType::kQ4_1, DType::kIQ4_NL, DType::kMXFP4, DType::kQ5_0,
                            DType::kQ5_1, DType::kQ8_0, DType::kQ3_K,   DType::kQ2_K,  DType::kQ6_K};

std::vector<Isa> VectorIsas() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kVnni}) {
    if (IsaSupported(isa)) isas.push_back(isa);
  }
  return isas;
}

std::vector<std::pair<Isa, int>> IsasAndPlanes() {
  std::vector<std::pair<Isa, int>> all;
  for (const Isa isa : VectorIsas()) {
    for (const int planes : {1, 2}) all.emplace_back(isa, planes);
  }
  return all;
}

struct Shape {
  DType dtype;
  int64_t n;
  int64_t k;
  int64_t b;
  int planes;
  bool accumulate;
};

std::string Describe(const Shape& s) {
  return std::string(tensor::DTypeName(s.dtype)) + " N=" + std::to_string(s.n) + " K=" + std::to_string(s.k) +
         " B=" + std::to_string(s.b) + " planes=" + std::to_string(s.planes) + (s.accumulate ? " accumulate" : "");
}

void FillRows(TestRandom& random, TestRows* rows, bool extreme) {
  for (int8_t& code : rows->codes) {
    code = static_cast<int8_t>(extreme ? (random.Below(2) != 0 ? 127 : -127) : random.Below(255) - 127);
  }
  for (float& scale : rows->scales) scale = 0.01f * random.Signed();
  for (int64_t row = 0; row < rows->view.rows; ++row) {
    for (int64_t half = 0; half < rows->view.k / 16; ++half) {
      int32_t& sum = SumAt(rows->view, row, half) = 0;
      for (int j = 0; j < 16; ++j) sum += ActivationCode(rows->view, row, 16 * half + j);
    }
  }
}

std::vector<float> Multiply(const KernelTable& table, const PackedWeights& weights, const TestRows& rows,
                            int64_t stride, bool accumulate) {
  static AlignedBytes scratch(kMatmulScratchBytes);
  std::vector<float> out(rows.view.rows * stride, 0.25f);  // what lies between rows must stay
  table.matmul_quantized(weights, 0, (weights.n + 15) / 16, rows.view, out.data(), stride, accumulate, scratch.data());
  return out;
}

void ExpectSame(const Shape& shape, const std::vector<float>& expected, const std::vector<float>& actual,
                const char* isa) {
  if (std::memcmp(expected.data(), actual.data(), expected.size() * sizeof(float)) == 0) return;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(expected[i], actual[i]) << isa << " " << Describe(shape) << " at " << i;
  }
}

void CheckAgainstReference(const Shape& shape, uint64_t seed, bool extreme = false) {
  TestRandom random(seed);
  TestMatrix matrix = RandomMatrix(shape.dtype, shape.n, shape.k, seed);
  PackedMatrix packed = Pack(matrix);
  TestRows rows(shape.b, shape.k, shape.planes);
  FillRows(random, &rows, extreme);
  const int64_t stride = shape.n + 5;
  const std::vector<float> expected = Multiply(TableOf(Isa::kRef), packed.view, rows, stride, shape.accumulate);
  for (const Isa isa : VectorIsas()) {
    ExpectSame(shape, expected, Multiply(TableOf(isa), packed.view, rows, stride, shape.accumulate), IsaName(isa));
  }
}

TEST(MatmulQuantizedTest, PrintsTheInstructionSetsThatItRuns) {
  std::printf("instruction sets of this machine:");
  for (const Isa isa : VectorIsas()) std::printf(" %s", IsaName(isa));
  std::printf(" (and ref)\n");
}

TEST(MatmulQuantizedTest, EveryRowCountAndPlaneCount) {
  for (const DType dtype : kTypes) {
    const int64_t k = tensor::Traits(dtype).block_elements == 256 ? 256 : 96;
    for (const int64_t b : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 64, 65}) {
      for (const int planes : {1, 2}) {
        CheckAgainstReference({dtype, 33, k, b, planes, b % 2 == 0}, 100 + b);
      }
    }
  }
}

// More blocks than are unpacked at once: the sums go to scratch in between.
TEST(MatmulQuantizedTest, LongRows) {
  for (const DType dtype : kTypes) {
    for (const int64_t k : {2048, 2304, 6400}) {
      for (const int planes : {1, 2}) CheckAgainstReference({dtype, 33, k, 21, planes, false}, 300 + k);
    }
  }
}

TEST(MatmulQuantizedTest, EveryWidth) {
  for (const DType dtype : kTypes) {
    const bool super = tensor::Traits(dtype).block_elements == 256;
    for (const int64_t n : {1, 15, 16, 17, 33, 48, 80, 96, 112, 320}) {
      for (const int64_t b : {1, 3, 10}) CheckAgainstReference({dtype, n, super ? 512 : 160, b, 1, false}, 200 + n);
    }
  }
}

TEST(MatmulQuantizedTest, EveryDepth) {
  for (const DType dtype : kTypes) {
    for (const int64_t k : {32, 64, 96, 256, 512, 544, 576, 640, 1536, 2048, 2080}) {
      if (k % tensor::Traits(dtype).block_elements != 0) continue;
      for (const int64_t b : {1, 4, 14}) CheckAgainstReference({dtype, 33, k, b, 1, true}, 300 + k);
    }
  }
}

TEST(MatmulQuantizedTest, ManyRowsWithLongRowsAreCutIntoBlocks) {
  CheckAgainstReference({DType::kQ4_0, 17, 8192, 150, 1, false}, 1);
  CheckAgainstReference({DType::kQ4_1, 16, 32, 1100, 1, false}, 2);
  CheckAgainstReference({DType::kQ6_K, 17, 16384, 70, 2, true}, 3);
  CheckAgainstReference({DType::kQ6_K, 1, kMaxK, 30, 1, true}, 4);
}

// Every code at its largest and activations at +-127: where 16-bit sums would overflow first.
TEST(MatmulQuantizedTest, ExtremeCodes) {
  for (const DType dtype : kTypes) {
    for (const int fill : {0x00, 0xff, 0x80, 0x7f, 0xf0}) {
      const int64_t k = 256;
      TestMatrix matrix = RandomMatrix(dtype, 32, k, 9);
      const int64_t block_bytes = tensor::Traits(dtype).block_bytes;
      for (size_t at = 0; at < matrix.bytes.size(); at += block_bytes) {
        TestRandom random(at);
        for (int64_t i = 0; i < block_bytes; ++i) matrix.bytes[at + i] = static_cast<std::byte>(fill);
        FixScales(dtype, random, matrix.bytes.data() + at);
      }
      const PackedMatrix packed = Pack(matrix);
      for (const int64_t b : {1, 9}) {
        for (const int code : {127, -127, 127 * 128 + 63, -127 * 128 - 64}) {
          const int planes = std::abs(code) > 127 ? 2 : 1;
          TestRows rows(b, k, planes);
          TestRandom random(3);
          FillRows(random, &rows, true);
          const int high = (code + 64) >> 7;
          for (int64_t i = 0; i < b * k; ++i) {
            CodeAt(rows.view, i / k, 0, i % k) = static_cast<int8_t>(planes == 1 ? code : high);
            if (planes == 2) CodeAt(rows.view, i / k, 1, i % k) = static_cast<int8_t>(code - 128 * high);
          }
          for (int32_t& sum : rows.sums) sum = 16 * code;
          const Shape shape = {dtype, 32, k, b, planes, false};
          const std::vector<float> expected = Multiply(TableOf(Isa::kRef), packed.view, rows, 32, false);
          for (const Isa isa : VectorIsas()) {
            ExpectSame(shape, expected, Multiply(TableOf(isa), packed.view, rows, 32, false), IsaName(isa));
          }
        }
      }
    }
  }
}

TEST(MatmulQuantizedTest, RandomShapes) {
  TestRandom random(77);
  for (int i = 0; i < 150; ++i) {
    const DType dtype = kTypes[random.Below(std::size(kTypes))];
    const int64_t unit = tensor::Traits(dtype).block_elements;
    const Shape shape = {dtype,
                         1 + random.Below(70),
                         unit * (1 + random.Below(static_cast<int>(1024 / unit))),
                         1 + random.Below(i % 10 == 0 ? 220 : 20),
                         1 + random.Below(2),
                         random.Below(2) != 0};
    CheckAgainstReference(shape, 1000 + i, i % 3 == 0);
  }
}

// The bits of an output depend neither on the other rows nor on the range of panels.
TEST(MatmulQuantizedTest, AnOutputDoesNotDependOnTheBatchOrTheRange) {
  static AlignedBytes scratch(kMatmulScratchBytes);
  for (const DType dtype : {DType::kQ4_1, DType::kQ8_0, DType::kQ6_K}) {
    const int64_t k = 768;
    const int64_t n = 100;
    const PackedMatrix packed = Pack(RandomMatrix(dtype, n, k, 4));
    TestRandom random(5);
    for (const auto& [isa, planes] : IsasAndPlanes()) {
      TestRows rows(40, k, planes);
      FillRows(random, &rows, false);
      const std::vector<float> whole = Multiply(TableOf(isa), packed.view, rows, n, false);
      for (int64_t b = 0; b < 40; ++b) {
        TestRows one(1, k, planes);
        for (int64_t i = 0; i < k; ++i) {
          for (int p = 0; p < planes; ++p) CodeAt(one.view, 0, p, i) = CodeAt(rows.view, b, p, i);
          ScaleAt(one.view, 0, i / 32) = ScaleAt(rows.view, b, i / 32);
          SumAt(one.view, 0, i / 16) = SumAt(rows.view, b, i / 16);
        }
        std::vector<float> alone(n);
        for (int64_t panel = 0; panel < 7; panel += 3) {
          TableOf(isa).matmul_quantized(packed.view, panel, std::min<int64_t>(7, panel + 3), one.view, alone.data(), n,
                                        false, scratch.data());
        }
        ASSERT_EQ(std::memcmp(alone.data(), whole.data() + b * n, n * sizeof(float)), 0)
            << IsaName(isa) << " row " << b;
      }
    }
  }
}

// Against the truth in double precision: 8-bit activations are good to about 1 %, 15-bit ones to f32's own rounding.
TEST(MatmulQuantizedTest, AccuracyAgainstDoublePrecision) {
  constexpr int64_t kN = 48;
  constexpr int64_t kK = 1536;
  constexpr int64_t kB = 5;
  for (const DType dtype : kTypes) {
    const TestMatrix matrix = RandomMatrix(dtype, kN, kK, 6);
    const PackedMatrix packed = Pack(matrix);
    TestRandom random(8);
    std::vector<float> x(kB * kK);
    for (float& value : x) value = random.Signed();
    for (const int planes : {1, 2}) {
      TestRows rows(kB, kK, planes);
      const KernelTable& table = TableOf(BestIsa());
      table.quantize_rows(x.data(), kK, 0, kB, 0, kK / 32, rows.view);
      const std::vector<float> actual = Multiply(table, packed.view, rows, kN, false);
      double error = 0;
      double norm = 0;
      std::vector<float> weights(kK);
      for (int64_t n = 0; n < kN; ++n) {
        UnpackRow(packed.view, n, weights.data());
        for (int64_t b = 0; b < kB; ++b) {
          double truth = 0;
          for (int64_t i = 0; i < kK; ++i) truth += static_cast<double>(weights[i]) * x[b * kK + i];
          error += (actual[b * kN + n] - truth) * (actual[b * kN + n] - truth);
          norm += truth * truth;
        }
      }
      EXPECT_LT(std::sqrt(error / norm), planes == 1 ? 1e-2 : 1e-4) << tensor::DTypeName(dtype) << " planes " << planes;
    }
  }
}

}  // namespace
}  // namespace kvasir::kernels
