// What the process really holds, by the kernel's own account, while a sequence grows, shrinks and ends: the bytes that
// admission, /metrics and `inspect` count are these.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>

#include "kvcache/half_codec.h"
#include "kvcache/packed_store.h"
#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {
namespace {

constexpr int kTokens = 4096;
const KvShape kShape = {.layers = 4, .kv_heads = 8, .head_dim = 64, .windows = {0, 0, 0, 0}};

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

KvOptions Open(kernels::PageFormat format) {
  return {.format = format, .compact = nullptr, .recent = 128};
}

KvOptions Compact(const char* codec_name) {
  const HalfCodec* codec = FindHalfCodec(codec_name).value();
  PackedStoreOptions options{
      .rule = {.recent = 128, .sinks = 4},
      .layers = std::vector<kernels::CompactFormat>(4, {.key = codec->keys, .value = codec->values}),
      .key_choices = std::vector<HalfChoices>(4, codec->key_range),
      .value_choices = std::vector<HalfChoices>(4, codec->value_range),
      .ropes = {{.neox = true}},
      .rope_of_layer = {0, 0, 0, 0},
      .context_tokens = kTokens,
      .identity = codec_name};
  for (int i = 0; i < kShape.head_dim / 2; ++i) {
    options.ropes[0].frequencies.push_back(std::pow(10000.0, -2.0 * i / kShape.head_dim));
  }
  KvOptions kv = Open(kernels::PageFormat::kF16);
  kv.compact = PackedStore::Create(kShape, kernels::PageFormat::kF16, std::move(options)).value();
  return kv;
}

void Grow(KvSequence& sequence, base::ThreadPool& threads, int tokens) {
  while (sequence.length() < tokens) {
    const int count = std::min({256, tokens - sequence.length(), sequence.RoomInStep()});
    const std::vector<int32_t> ids(static_cast<size_t>(count), 7);
    ASSERT_TRUE(sequence.Extend(ids).has_value());
    WriteStep(sequence, std::vector<KnownToken>(ids.size(), {.id = 7, .serial = 1}));
    sequence.Commit();
    sequence.Compact(threads);
  }
}

// Each size of pages may have a slab of 2 MiB begun and one kept; headers and lists take the rest.
void ExpectNear(int64_t resident, size_t counted) {
  EXPECT_NEAR(static_cast<double>(resident), static_cast<double>(counted),
              0.02 * static_cast<double>(counted) + (9 << 20));
}

void ExpectResident(const KvOptions& options) {
  const auto pool = PagePool::Create(size_t{256} << 20).value();
  base::ThreadPool threads(2);
  const int64_t before = ResidentBytes();
  {
    KvSequence sequence = KvSequence::Create(*pool, kShape, options).value();
    Grow(sequence, threads, kTokens);
    EXPECT_EQ(sequence.bytes(), BytesAt(kShape, options.layout(), kTokens));
    ExpectNear(ResidentBytes() - before, sequence.bytes());
    ASSERT_TRUE(sequence.Truncate(kTokens / 2).has_value());
    ExpectNear(ResidentBytes() - before, sequence.bytes());
  }
  ExpectNear(ResidentBytes() - before, 0);
}

class ResidentMemory : public testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer keeps memory of its own";
#endif
  }
};

TEST_F(ResidentMemory, OfOpenPagesIsWhatIsCounted) {
  ExpectResident(Open(kernels::PageFormat::kF16));
  ExpectResident(Open(kernels::PageFormat::kQ8));
}

TEST_F(ResidentMemory, OfCompactPagesIsWhatIsCounted) {
  ExpectResident(Compact("ch4"));
  ExpectResident(Compact("ch2"));
}

}  // namespace
}  // namespace kvasir::kvcache
