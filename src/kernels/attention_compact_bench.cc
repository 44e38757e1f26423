// Decoding over compact pages beside decoding over f16 pages: SmolLM2's shape (64 features, three query heads per KV
// head) at 8000 tokens, each of 90 heads with pages of its own, far more than the cache of a core. A pass over f16 and
// a pass over the other format take turns, so that the ratio of their times holds on a busy machine too; times are CPU
// times, with two threads the longer one. `times_f16` is the median of the ratios, `us_page` the best time of a page.
//
//   build/<preset>/src/kernels/kvasir_kernels_bench --benchmark_filter=Compact
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/aligned.h"
#include "base/check.h"
#include "kernels/compact_testing.h"
#include "kernels/kernels.h"
#include "kernels/thread_clock.h"

namespace kvasir::kernels {
namespace {

constexpr int kHeadDim = 64;
constexpr int kRows = 3;
constexpr int kDepth = 8000;
constexpr int kHeads = 90;
constexpr int kSpanPages = 4;
constexpr int kPages = kDepth / kPageTokens;

// One way to store a page, and to attend to pages stored so.
struct Kind {
  std::string name;
  size_t page_bytes;
  std::function<void(std::byte*)> fill;
  std::function<void(const KernelTable&, const AttendArgs&)> attend;
};

Kind Native(PageFormat format, const char* name) {
  return {name, PageBytes(format, kHeadDim),
          [=](std::byte* page) {
            std::mt19937 engine(1);
            std::normal_distribution<float> normal;
            std::vector<float> key(kHeadDim), value(kHeadDim);
            for (int slot = 0; slot < kPageTokens; ++slot) {
              for (int d = 0; d < kHeadDim; ++d) key[d] = normal(engine), value[d] = normal(engine);
              TableOf(Isa::kRef).store_kv[static_cast<int>(format)](page, kHeadDim, slot, key.data(), value.data());
            }
          },
          [=](const KernelTable& table, const AttendArgs& args) { table.attend[static_cast<int>(format)](args); }};
}

const TestRope& Rope() {
  static const TestRope rope(kHeadDim, true, kPages, kHeadDim / 4);  // as with a base of 10000 to 500000
  return rope;
}

Kind Compact(std::string name, const CompactHalf& key, const CompactHalf& value) {
  CompactFormat format = {key, value, Rope().view()};
  for (CompactHalf* half : {&format.key, &format.value}) {
    for (int i = 0; i < 32; ++i) half->level[i] = UniformLevel(half->bits, i % (1 << std::min<int>(half->bits, 5)));
  }
  return {std::move(name), PageBytes(format, kHeadDim),
          [=](std::byte* page) {
            TestRandom random(1);
            PackHalf(format.key, true, kHeadDim, RandomCodes(format.key, kHeadDim, 1, random), page);
            PackHalf(format.value, false, kHeadDim, RandomCodes(format.value, kHeadDim, 1, random),
                     page + HalfBytes(format.key, kHeadDim));
          },
          [=](const KernelTable& table, const AttendArgs& args) { table.attend_compact(args, format); }};
}

std::vector<Kind> Kinds() {
  std::vector<Kind> kinds = {Native(PageFormat::kF32, "f32"), Native(PageFormat::kF16, "f16"),
                             Native(PageFormat::kQ8, "q8"), Native(PageFormat::kE4M3, "fp8_e4m3"),
                             Native(PageFormat::kE5M2, "fp8_e5m2")};
  const auto channels = [](int bits) {
    return CompactHalf{static_cast<uint8_t>(bits), Grouping::kChannels, 64, true, false, false, 0, {}};
  };
  const auto tokens = [](int bits) {
    return CompactHalf{static_cast<uint8_t>(bits), Grouping::kTokens, 32, false, true, false, 0, {}};
  };
  const auto before_rope = [](CompactHalf half) {
    half.before_rope = true;
    return half;
  };
  const auto outliers = [](CompactHalf half) {
    half.outliers = 41;
    return half;
  };
  for (const int bits : {5, 4, 3, 2}) {
    const std::string b = std::to_string(bits);
    kinds.push_back(Compact("k_channel" + b + "_v_token" + b, channels(bits), tokens(bits)));
    kinds.push_back(Compact("k_token" + b + "_v_token" + b, tokens(bits), tokens(bits)));
    kinds.push_back(Compact("k_rope_channel" + b + "_v_token" + b, before_rope(channels(bits)), tokens(bits)));
  }
  kinds.push_back(Compact("k_channel4_v_channel4", channels(4), channels(4)));
  kinds.push_back(Compact("k_channel4_v_token4_outliers", outliers(channels(4)), outliers(tokens(4))));
  kinds.push_back(
      Compact("k_rope_channel3_v_token3_outliers", outliers(before_rope(channels(3))), outliers(tokens(3))));
  return kinds;
}

// The pages of all heads: those of 64 tokens lie together, those of one head far apart.
class Cache {
 public:
  explicit Cache(const Kind& kind) : kind_(kind) {
    auto memory = base::AlignedBuffer::Create(kind.page_bytes * kPages * kHeads, base::AlignedBuffer::Pages::kHuge);
    KV_CHECK(memory);
    memory_ = std::move(*memory);
    kind.fill(memory_.data());
    for (int i = 1; i < kPages * kHeads; ++i) {
      std::copy_n(memory_.data(), kind.page_bytes, memory_.data() + i * kind.page_bytes);
    }
    for (int h = 0; h < kHeads; ++h) {
      for (int i = 0; i < kPages; ++i) {
        refs_.push_back(
            {memory_.data() + kind.page_bytes * (static_cast<size_t>(i) * kHeads + h), i * kPageTokens, kPageTokens});
      }
    }
  }

  // Heads [begin, end), as a thread would take them.
  void Pass(const KernelTable& table, int begin, int end) const {
    const std::vector<int32_t> positions(kRows, kDepth - 1);
    const std::vector<float> q(kRows * kHeadDim, 0.01F);
    std::vector<float> out(q.size()), lse(kRows);
    AlignedBytes scratch(kAttendScratchBytes);
    for (int h = begin; h < end; ++h) {
      for (int first = 0; first < kPages; first += kSpanPages) {
        const int count = std::min(kSpanPages, kPages - first);
        const size_t at = static_cast<size_t>(h) * kPages + first;
        kind_.attend(table, {.q = q.data(),
                             .row_positions = positions.data(),
                             .rows = kRows,
                             .head_dim = kHeadDim,
                             .pages = &refs_[at],
                             .num_pages = count,
                             .next = at + count < refs_.size() ? refs_[at + count].data : nullptr,
                             .out = out.data(),
                             .lse = lse.data(),
                             .scratch = scratch.data()});
      }
    }
    benchmark::DoNotOptimize(out.data());
  }

 private:
  Kind kind_;
  base::AlignedBuffer memory_;
  std::vector<PageRef> refs_;
};

// The CPU time that the slowest of `threads` threads needs for its part of a pass.
double PassSeconds(const Cache& cache, const KernelTable& table, int threads) {
  std::vector<double> seconds(threads);
  std::vector<std::thread> running;
  running.reserve(static_cast<size_t>(threads));
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      seconds[t] = SecondsOf([&] { cache.Pass(table, kHeads * t / threads, kHeads * (t + 1) / threads); });
    });
  }
  for (std::thread& thread : running) thread.join();
  return *std::max_element(seconds.begin(), seconds.end());
}

void CompareWithF16(benchmark::State& state, Isa isa, const Kind& kind) {
  const KernelTable& table = TableOf(isa);
  const int threads = static_cast<int>(state.range(0));
  const Cache f16(Native(PageFormat::kF16, "f16"));
  const Cache other(kind);
  std::vector<double> ratios;
  double best = 1e9;
  for (auto _ : state) {
    const double f16_seconds = PassSeconds(f16, table, threads);
    const double seconds = PassSeconds(other, table, threads);
    state.SetIterationTime(seconds);
    ratios.push_back(seconds / f16_seconds);
    best = std::min(best, seconds);
  }
  std::nth_element(ratios.begin(), ratios.begin() + static_cast<long>(ratios.size() / 2), ratios.end());
  state.counters["times_f16"] = ratios[ratios.size() / 2];
  state.counters["us_page"] = 1e6 * best * threads / (kPages * kHeads);
  state.counters["bits"] = 8.0 * static_cast<double>(kind.page_bytes) / (2 * kPageTokens * kHeadDim);
}

const bool kRegistered = [] {
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kVnni}) {
    if (!IsaSupported(isa)) continue;
    for (const Kind& kind : Kinds()) {
      benchmark::RegisterBenchmark(("CompactDecode/" + std::string(IsaName(isa)) + "/" + kind.name).c_str(),
                                   CompareWithF16, isa, kind)
          ->Arg(1)
          ->Arg(2)
          ->UseManualTime()
          ->Iterations(25)
          ->Unit(benchmark::kMillisecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace kvasir::kernels
