// Attention against the limits of the machine, one thread: decoding against the rate at which the same bytes can be
// read at all, prefill against the rate of register-only multiply-adds. Both limits are measured in the same run.
//
//   build/<preset>/src/kernels/kvasir_kernels_bench --benchmark_filter=Attention
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/check.h"
#include "kernels/kernels.h"
#include "kernels/thread_clock.h"

namespace kvasir::kernels {
namespace {

constexpr size_t kFootprint = size_t{128} << 20;  // bytes of pages that a pass goes through, as a model's layers do
constexpr int kSpanPages = 4;

constexpr const char* kFormatNames[] = {"f32", "f16", "q8", "fp8_e4m3", "fp8_e5m2"};

base::AlignedBuffer Allocate(size_t bytes) {
  auto buffer = base::AlignedBuffer::Create(bytes, base::AlignedBuffer::Pages::kHuge);
  KV_CHECK(buffer);
  return std::move(*buffer);
}

// The caches of as many heads as fill the footprint, `depth` tokens each.
class Heads {
 public:
  Heads(PageFormat format, int head_dim, int depth) : pages_per_head_((depth + kPageTokens - 1) / kPageTokens) {
    const size_t page_bytes = PageBytes(format, head_dim);
    num_heads_ = std::max<int>(1, static_cast<int>(kFootprint / (page_bytes * pages_per_head_)));
    bytes_ = page_bytes * pages_per_head_ * num_heads_;
    memory_ = Allocate(bytes_);
    std::mt19937 engine(1);
    std::normal_distribution<float> normal;
    std::vector<float> key(head_dim), value(head_dim);
    const auto store = TableOf(Isa::kRef).store_kv[static_cast<int>(format)];
    for (int i = 0; i < kPageTokens; ++i) {  // one random page, copied everywhere: contents do not change the time
      for (int d = 0; d < head_dim; ++d) key[d] = normal(engine), value[d] = normal(engine);
      store(memory_.data(), head_dim, i, key.data(), value.data());
    }
    for (size_t at = page_bytes; at < bytes_; at += page_bytes) {
      std::copy_n(memory_.data(), page_bytes, memory_.data() + at);
    }
    // As in a sequence: the pages of 64 tokens lie together, those of one head far apart.
    for (int h = 0; h < num_heads_; ++h) {
      for (int i = 0; i < pages_per_head_; ++i) {
        refs_.push_back({.data = memory_.data() + page_bytes * (static_cast<size_t>(i) * num_heads_ + h),
                         .first_position = i * kPageTokens,
                         .count = std::min(kPageTokens, depth - i * kPageTokens)});
      }
    }
  }
  int num_heads() const { return num_heads_; }
  int pages_per_head() const { return pages_per_head_; }
  const PageRef* refs(int head) const { return &refs_[static_cast<size_t>(head) * pages_per_head_]; }
  size_t bytes() const { return bytes_; }
  const std::byte* memory() const { return memory_.data(); }
  // The page that follows page `i` of `head` in a pass over all heads; null at its end.
  const std::byte* After(int head, int i) const {
    const size_t at = static_cast<size_t>(head) * pages_per_head_ + i + 1;
    return at < refs_.size() ? refs_[at].data : nullptr;
  }

 private:
  int pages_per_head_;
  int num_heads_ = 0;
  size_t bytes_ = 0;
  base::AlignedBuffer memory_;
  std::vector<PageRef> refs_;
};

// Bytes per second at which this table reads `heads`, the best of five.
double ReadLimit(const KernelTable& table, const Heads& heads) {
  const size_t bytes = heads.bytes() / 256 * 256;
  return static_cast<double>(bytes) /
         BestSecondsOf(5, [&] { benchmark::DoNotOptimize(table.read_stream(heads.memory(), bytes)); });
}

double FmaLimit(const KernelTable& table) {
  int64_t flops = 0;
  const double seconds = BestSecondsOf(5, [&] { benchmark::DoNotOptimize(table.fma_peak(1'000'000, &flops)); });
  return static_cast<double>(flops) / seconds;
}

void Decode(benchmark::State& state, Isa isa, PageFormat format, int head_dim, int group) {
  const KernelTable& table = TableOf(isa);
  const int depth = static_cast<int>(state.range(0));
  const Heads heads(format, head_dim, depth);
  const std::vector<int32_t> positions(group, depth - 1);
  const std::vector<float> q(static_cast<size_t>(group) * head_dim, 0.01f);
  std::vector<float> out(q.size()), lse(group);
  base::AlignedBuffer scratch = Allocate(kAttendScratchBytes);
  for (auto _ : state) {
    for (int h = 0; h < heads.num_heads(); ++h) {
      for (int first = 0; first < heads.pages_per_head(); first += kSpanPages) {
        const int num_pages = std::min(kSpanPages, heads.pages_per_head() - first);
        table.attend[static_cast<int>(format)]({.q = q.data(),
                                                .row_positions = positions.data(),
                                                .rows = group,
                                                .head_dim = head_dim,
                                                .pages = heads.refs(h) + first,
                                                .num_pages = num_pages,
                                                .next = heads.After(h, first + num_pages - 1),
                                                .out = out.data(),
                                                .lse = lse.data(),
                                                .scratch = scratch.data()});
      }
    }
    benchmark::DoNotOptimize(out.data());
  }
  const double bytes = static_cast<double>(heads.bytes()) * static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsRate);
  state.counters["%read"] = benchmark::Counter(100 * bytes / ReadLimit(table, heads), benchmark::Counter::kIsRate);
}

// `state.range(0)` new tokens of all G heads behind as many others: half the keys of the last spans are causal-masked.
void Prefill(benchmark::State& state, Isa isa, PageFormat format, int head_dim, int group) {
  const KernelTable& table = TableOf(isa);
  const int tokens = static_cast<int>(state.range(0));
  const Heads heads(format, head_dim, 2 * tokens);
  const int rows = tokens * group;
  std::vector<int32_t> positions(rows);
  for (int r = 0; r < rows; ++r) positions[r] = tokens + r / group;
  const std::vector<float> q(static_cast<size_t>(rows) * head_dim, 0.01f);
  std::vector<float> out(q.size()), lse(rows);
  base::AlignedBuffer scratch = Allocate(kAttendScratchBytes);
  double seen = 0;  // pairs of row and key
  for (const int32_t p : positions) seen += p + 1;
  const int tile = kAttendBlockRows / group * group;
  for (auto _ : state) {
    for (int row = 0; row < rows; row += tile) {
      const int tile_rows = std::min(tile, rows - row);
      const int pages_seen = positions[row + tile_rows - 1] / kPageTokens + 1;
      for (int first = 0; first < pages_seen; first += kSpanPages) {
        table.attend[static_cast<int>(format)]({.q = q.data() + static_cast<size_t>(row) * head_dim,
                                                .row_positions = positions.data() + row,
                                                .rows = tile_rows,
                                                .head_dim = head_dim,
                                                .pages = heads.refs(0) + first,
                                                .num_pages = std::min(kSpanPages, pages_seen - first),
                                                .out = out.data() + static_cast<size_t>(row) * head_dim,
                                                .lse = lse.data() + row,
                                                .scratch = scratch.data()});
      }
    }
    benchmark::DoNotOptimize(out.data());
  }
  const double flops = 4 * seen * head_dim * static_cast<double>(state.iterations());
  state.counters["GFLOPS"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsRate);
  state.counters["%fma"] = benchmark::Counter(100 * flops / FmaLimit(table), benchmark::Counter::kIsRate);
}

const bool kRegistered = [] {
  struct Shape {
    int head_dim, group;
    const char* name;
  };
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kVnni}) {
    if (!IsaSupported(isa)) continue;
    for (const PageFormat format : {PageFormat::kF16, PageFormat::kQ8, PageFormat::kF32}) {
      for (const Shape& s :
           {Shape{64, 3, "D64_G3"}, Shape{64, 4, "D64_G4"}, Shape{128, 4, "D128_G4"}, Shape{256, 4, "D256_G4"}}) {
        const std::string suffix =
            std::string("/") + IsaName(isa) + "/" + kFormatNames[static_cast<int>(format)] + "/" + s.name;
        benchmark::RegisterBenchmark(("AttentionDecode" + suffix).c_str(), Decode, isa, format, s.head_dim, s.group)
            ->Arg(2048)
            ->Arg(8192)
            ->Unit(benchmark::kMillisecond);
        benchmark::RegisterBenchmark(("AttentionPrefill" + suffix).c_str(), Prefill, isa, format, s.head_dim, s.group)
            ->Arg(512)
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace kvasir::kernels
