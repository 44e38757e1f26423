// What encoding a half of a page costs: it is paid once per 64 tokens, layer and KV head, twice.
#include <benchmark/benchmark.h>

#include "kvcache/calibration.h"
#include "kvcache/encode_half.h"
#include "kvcache/encode_testing.h"

namespace kvasir::kvcache {
namespace {

using kernels::CompactHalf;
using kernels::Grouping;

CompactHalf Half(int bits, Grouping grouping, bool rotated, int outliers) {
  CompactHalf half = {.bits = static_cast<uint8_t>(bits),
                      .grouping = grouping,
                      .group = 64,
                      .offset = true,
                      .rotated = rotated,
                      .outliers = static_cast<uint8_t>(outliers)};
  for (int code = 0; code < 1 << bits; ++code) half.level[code] = kernels::UniformLevel(bits, code);
  return half;
}

// Arguments: features, bits, outliers.
void EncodeKeys(benchmark::State& state) {
  const auto head_dim = static_cast<int>(state.range(0));
  const CompactHalf half =
      Half(static_cast<int>(state.range(1)), Grouping::kChannels, false, static_cast<int>(state.range(2)));
  const HalfCalibration calibration =
      MakeCalibration(RandomMetric(head_dim, head_dim, 1), std::vector<double>(static_cast<size_t>(head_dim), 1.0));
  const std::vector<float> x = RandomHalf(head_dim, 2);
  kernels::HalfCodes codes;
  for (auto _ : state) {
    EncodeHalf(half, head_dim, &calibration, RangeChoice::kCover, x.data(), &codes);
    benchmark::DoNotOptimize(codes.codes.data());
  }
}
BENCHMARK(EncodeKeys)->Args({64, 4, 0})->Args({64, 2, 0})->Args({64, 2, 41})->Args({128, 4, 0})->Args({256, 4, 0});

// Arguments: features, bits, search.
void EncodeValues(benchmark::State& state) {
  const auto head_dim = static_cast<int>(state.range(0));
  const CompactHalf half = Half(static_cast<int>(state.range(1)), Grouping::kTokens, true, 0);
  const RangeChoice range = state.range(2) != 0 ? RangeChoice::kSearch : RangeChoice::kCover;
  const std::vector<float> x = RandomHalf(head_dim, 3);
  kernels::HalfCodes codes;
  for (auto _ : state) {
    EncodeHalf(half, head_dim, nullptr, range, x.data(), &codes);
    benchmark::DoNotOptimize(codes.codes.data());
  }
}
BENCHMARK(EncodeValues)->Args({64, 4, 0})->Args({64, 2, 0})->Args({64, 2, 1})->Args({256, 4, 0});

}  // namespace
}  // namespace kvasir::kvcache
