// Matrix products against the limits of the machine, one thread: few rows against the rate at which the same bytes can
// be read at all, many rows against the rate of register-only dot products (multiply-adds for f32). The limit is
// measured before and after each case and the better one counts; rates are those of the best iteration, so that
// neighbours on a shared machine disturb as little as they can.
//
//   build/<preset>/bench/kvasir_kernels_bench --benchmark_filter='Gemv|Gemm|Dense|Pack|Quantize'
//   KVASIR_ISA=avx2 chooses another instruction set.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/test_matrices.h"
#include "kernels/thread_clock.h"

namespace kvasir::kernels {
namespace {

using tensor::DType;

constexpr size_t kFootprint = size_t{96} << 20;  // weights gone through in one pass, as a small model's layers are

const KernelTable& Table() {
  Isa isa = BestIsa();
  if (const char* name = std::getenv("KVASIR_ISA"); name != nullptr && !IsaFromName(name, &isa)) {
    std::fprintf(stderr, "KVASIR_ISA=%s is none of ref, avx2, avx512, vnni\n", name);
    std::exit(2);
  }
  return TableOf(isa);
}

double Int8Limit() {  // multiply-adds per second
  int64_t ops = 0;
  const double seconds = BestSecondsOf(100, [&] { benchmark::DoNotOptimize(Table().int8_peak(20000, &ops)); });
  return static_cast<double>(ops) / 2 / seconds;
}

double FmaLimit() {
  int64_t flops = 0;
  const double seconds = BestSecondsOf(100, [&] { benchmark::DoNotOptimize(Table().fma_peak(20000, &flops)); });
  return static_cast<double>(flops) / 2 / seconds;
}

double ReadLimit(const AlignedBytes& data) {  // bytes per second
  const size_t bytes = data.size() / 256 * 256;
  return static_cast<double>(bytes) /
         BestSecondsOf(5, [&] { benchmark::DoNotOptimize(Table().read_stream(data.data(), bytes)); });
}

/// Runs the case and returns the best iteration's seconds; google-benchmark shows the mean.
template <typename Run>
double Loop(benchmark::State& state, Run run) {
  double best = 1e9;
  for (auto _ : state) {
    const double seconds = SecondsOf(run);
    best = std::min(best, seconds);
    state.SetIterationTime(seconds);
  }
  return best;
}

TestRows RandomRows(int64_t b, int64_t k, int planes) {
  TestRandom random(1);
  std::vector<float> x(b * k);
  for (float& value : x) value = random.Signed();
  TestRows rows(b, k, planes);
  Table().quantize_rows(x.data(), k, 0, b, 0, k / 32, rows.view);
  return rows;
}

struct Case {
  DType dtype;
  int64_t n;
  int64_t k;
  int64_t b;
  int planes = 1;
};

/// As many copies of one packed matrix as fill the footprint.
struct Layers {
  Layers(const Case& c, size_t footprint) {
    const PackedMatrix one = Pack(RandomMatrix(c.dtype, c.n, c.k, 1));
    view = one.view;
    bytes = PlanPack(c.dtype, c.n, c.k)->bytes;
    count = std::max<size_t>(1, footprint / bytes);
    memory = AlignedBytes(bytes * count);
    for (size_t i = 0; i < count; ++i) std::memcpy(memory.data() + i * bytes, one.bytes.data(), bytes);
  }
  PackedWeights At(size_t i) const {
    PackedWeights weights = view;
    weights.panels = memory.data() + i * bytes;
    return weights;
  }
  PackedWeights view;
  size_t bytes;
  size_t count;
  AlignedBytes memory;
};

void Gemv(benchmark::State& state, Case c) {
  const Layers layers(c, kFootprint);
  const TestRows rows = RandomRows(c.b, c.k, c.planes);
  std::vector<float> out(c.b * c.n);
  AlignedBytes scratch(kMatmulScratchBytes);
  double limit = ReadLimit(layers.memory);
  const double seconds = Loop(state, [&] {
    for (size_t i = 0; i < layers.count; ++i) {
      Table().matmul_quantized(layers.At(i), 0, (c.n + 15) / 16, rows.view, out.data(), c.n, false, scratch.data());
    }
  });
  limit = std::max(limit, ReadLimit(layers.memory));
  const double rate = static_cast<double>(layers.bytes * layers.count) / seconds;
  state.counters["GB/s"] = rate * 1e-9;
  state.counters["%read"] = 100 * rate / limit;
}

void Gemm(benchmark::State& state, Case c) {
  const Layers layers(c, 1);
  const TestRows rows = RandomRows(c.b, c.k, c.planes);
  std::vector<float> out(c.b * c.n);
  AlignedBytes scratch(kMatmulScratchBytes);
  double limit = Int8Limit();
  const double seconds = Loop(state, [&] {
    Table().matmul_quantized(layers.At(0), 0, (c.n + 15) / 16, rows.view, out.data(), c.n, false, scratch.data());
  });
  limit = std::max(limit, Int8Limit());
  const double rate = static_cast<double>(c.n * c.k * c.b * c.planes) / seconds;
  state.counters["GMAC/s"] = rate * 1e-9;
  state.counters["%int8"] = 100 * rate / limit;
}

void Dense(benchmark::State& state, DenseFormat format, int64_t n, int64_t k, int64_t b) {
  const size_t one = DenseBytes(format, n, k);
  const size_t count = b == 1 ? std::max<size_t>(1, kFootprint / one) : 1;
  const DenseMatrix matrix = PackAsDense(RandomMatrix(DType::kF32, n, k, 1), format);
  AlignedBytes memory(one * count);
  for (size_t i = 0; i < count; ++i) std::memcpy(memory.data() + i * one, matrix.bytes.data(), one);
  const std::vector<float> x(b * k, 0.5f);
  std::vector<float> out(b * n);
  double limit = b == 1 ? ReadLimit(memory) : FmaLimit();
  const double seconds = Loop(state, [&] {
    for (size_t i = 0; i < count; ++i) {
      DenseWeights weights = matrix.view;
      weights.panels = memory.data() + i * one;
      Table().matmul_dense(weights, 0, (n + 15) / 16, x.data(), k, b, out.data(), n, false);
    }
  });
  limit = std::max(limit, b == 1 ? ReadLimit(memory) : FmaLimit());
  const double rate = b == 1 ? static_cast<double>(one * count) / seconds : static_cast<double>(n * k * b) / seconds;
  state.counters[b == 1 ? "GB/s" : "GMAC/s"] = rate * 1e-9;
  state.counters[b == 1 ? "%read" : "%fma"] = 100 * rate / limit;
}

void PackBench(benchmark::State& state, DType dtype) {
  constexpr int64_t kN = 1024;
  constexpr int64_t kK = 2048;
  const TestMatrix matrix = RandomMatrix(dtype, kN, kK, 1);
  const bool dense = PlanPack(dtype, kN, kK)->dense;
  AlignedBytes out(PlanPack(dtype, kN, kK)->bytes);
  const double seconds = Loop(state, [&] {
    if (dense) {
      PackDense(dtype, matrix.bytes.data(), kN, kK, 0, kN / 16, PlanPack(dtype, kN, kK)->dense_format, out.data());
    } else {
      benchmark::DoNotOptimize(PackPanels(dtype, matrix.bytes.data(), kN, kK, 0, kN / 16, out.data()));
    }
  });
  state.counters["GB/s"] = static_cast<double>(matrix.bytes.size()) / seconds * 1e-9;
}

void Quantize(benchmark::State& state, int planes) {
  constexpr int64_t kK = 2048;
  constexpr int64_t kB = 64;
  const std::vector<float> x(kB * kK, 0.5f);
  TestRows rows(kB, kK, planes);
  const double seconds = Loop(state, [&] { Table().quantize_rows(x.data(), kK, 0, kB, 0, kK / 32, rows.view); });
  state.counters["Gelement/s"] = static_cast<double>(kB * kK) / seconds * 1e-9;
}

constexpr DType kTypes[] = {DType::kQ4_0, DType::kQ4_1, DType::kIQ4_NL, DType::kQ5_0, DType::kQ5_1,
                            DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,   DType::kQ6_K};

struct Shape {
  const char* of;
  int64_t n;
  int64_t k;
};
constexpr Shape kShapes[] = {{"135m_qkvo", 576, 576}, {"135m_up", 1536, 576},  {"135m_down", 576, 1536},
                             {"270m_up", 2048, 640},  {"1b_qkvo", 2048, 2048}, {"1b_up", 8192, 2048},
                             {"1b_down", 2048, 8192}};
constexpr Shape kHeads[] = {{"135m_head", 49152, 576}, {"270m_head", 262144, 640}};

void Register(const std::string& kind, const Case& c, const char* of, void (*run)(benchmark::State&, Case)) {
  if (c.k % tensor::Traits(c.dtype).block_elements != 0) return;
  std::string name = kind + "/" + std::string(tensor::DTypeName(c.dtype)) + "/" + of + "/B" + std::to_string(c.b);
  if (c.planes == 2) name += "x2";
  benchmark::RegisterBenchmark(name.c_str(), run, c)->UseManualTime()->Unit(benchmark::kMicrosecond);
}

const bool kRegistered = [] {
  for (const DType dtype : kTypes) {
    for (const Shape& shape : kShapes) {
      for (const int64_t b : {1, 2, 4, 8}) Register("Gemv", {dtype, shape.n, shape.k, b}, shape.of, Gemv);
      for (const int64_t b : {16, 64, 512}) {
        for (const int planes : {1, 2}) Register("Gemm", {dtype, shape.n, shape.k, b, planes}, shape.of, Gemm);
      }
      for (const int64_t b : {1, 4, 8}) Register("Gemv", {dtype, shape.n, shape.k, b, 2}, shape.of, Gemv);
    }
  }
  for (const Shape& head : kHeads) Register("Gemv", {DType::kQ8_0, head.n, head.k, 1}, head.of, Gemv);
  for (const auto& [format, name] :
       {std::pair{DenseFormat::kF32, "F32"}, {DenseFormat::kF16, "F16"}, {DenseFormat::kBF16, "BF16"}}) {
    for (const int64_t b : {1, 4, 64, 512}) {
      const std::string full = std::string("Dense/") + name + "/1b_qkvo/B" + std::to_string(b);
      benchmark::RegisterBenchmark(full.c_str(), Dense, format, 2048, 2048, b)->UseManualTime();
    }
  }
  for (int id = 0; id < 64; ++id) {
    const auto dtype = tensor::FromGgufId(id);
    if (!dtype || !PlanPack(*dtype, 16, 256)) continue;
    const std::string name = "Pack/" + std::string(tensor::DTypeName(*dtype));
    benchmark::RegisterBenchmark(name.c_str(), PackBench, *dtype)->UseManualTime();
  }
  for (const int planes : {1, 2}) {
    const std::string name = "Quantize/planes" + std::to_string(planes);
    benchmark::RegisterBenchmark(name.c_str(), Quantize, planes)->UseManualTime();
  }
  return true;
}();

}  // namespace
}  // namespace kvasir::kernels
