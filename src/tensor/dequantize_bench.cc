// Dequantisation speed per format on a row that stays in the L1/L2 cache: `elements` per second, and its inverse.
#include <benchmark/benchmark.h>

#include <vector>

#include "tensor/dequantize.h"

namespace kvasir::tensor {
namespace {

constexpr int64_t kElements = 4096;

void DequantizeRows(benchmark::State& state, DType dtype) {
  std::vector<uint8_t> row(ValidRowBytes(dtype, kElements));
  for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<uint8_t>(i * 37 % 61);  // small, finite scales
  std::vector<float> values(kElements);
  for (auto _ : state) {
    DequantizeRow(dtype, row.data(), values.data(), kElements);
    benchmark::DoNotOptimize(values.data());
    benchmark::ClobberMemory();
  }
  const auto elements = static_cast<double>(kElements) * static_cast<double>(state.iterations());
  state.counters["elements"] = benchmark::Counter(elements, benchmark::Counter::kIsRate);
  state.counters["s/element"] = benchmark::Counter(elements, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

const int kRegistered = [] {
  for (int id = 0; id < 256; ++id) {
    const auto dtype = FromGgufId(id);
    if (!dtype || !Traits(*dtype).dequantisable) continue;
    benchmark::RegisterBenchmark(("DequantizeRow/" + std::string(DTypeName(*dtype))).c_str(), DequantizeRows, *dtype);
  }
  return 0;
}();

}  // namespace
}  // namespace kvasir::tensor
