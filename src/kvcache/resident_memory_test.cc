// What the process really holds, by the kernel's own account, while a sequence grows, shrinks and ends: the bytes that
// admission, /metrics and `inspect` count are these.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "kvcache/kv_sequence.h"
#include "kvcache/packed_store_testing.h"

namespace kvasir::kvcache {
namespace {

constexpr size_t kGib = size_t{1} << 30;
const KvShape kShape = {.layers = 4, .kv_heads = 8, .head_dim = 64, .windows = {}};
// gemma3-270m: five of six layers see the last 512 tokens.
const KvShape kShapeOfGemma3 = {.layers = 18, .kv_heads = 1, .head_dim = 256, .windows = [] {
                                  std::vector<int> windows(18, 512);
                                  for (size_t layer = 5; layer < windows.size(); layer += 6) windows[layer] = 0;
                                  return windows;
                                }()};
const KvShape kShapeOf1B = {.layers = 16, .kv_heads = 8, .head_dim = 64, .windows = {}};

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

KvOptions Compact(std::shared_ptr<const CompactStore> store) {
  KvOptions kv = Open(kernels::PageFormat::kF16);
  kv.compact = std::move(store);
  return kv;
}

std::shared_ptr<const CompactStore> StoreOf(const char* codec_name, const KvShape& shape, int tokens) {
  return PackedStoreForTest(codec_name, shape, kernels::PageFormat::kF16, {.recent = 128, .sinks = 4}, tokens);
}

// Pages of the same sizes as those of another store, with anything in them: quick to write.
class PagesOfTheSize final : public CompactStore {
 public:
  explicit PagesOfTheSize(std::shared_ptr<const CompactStore> other)
      : CompactStore(other->rule()), other_(std::move(other)) {}
  std::string identity() const override { return "anything"; }
  size_t PageBytes(int layer) const override { return other_->PageBytes(layer); }
  std::span<const kernels::CompactFormat> formats() const override { return other_->formats(); }
  bool position_free(int layer) const override { return other_->position_free(layer); }
  void Encode(int layer, int /*kv_head*/, int32_t /*first_position*/, std::span<const float> /*keys*/,
              std::span<const float> /*values*/, std::byte* page) const override {
    std::fill_n(page, PageBytes(layer), std::byte{1});
  }
  void Decode(int /*layer*/, int /*kv_head*/, int32_t /*first_position*/, const std::byte* /*page*/,
              std::span<float> keys, std::span<float> values) const override {
    std::ranges::fill(keys, 0.0F);
    std::ranges::fill(values, 0.0F);
  }

 private:
  std::shared_ptr<const CompactStore> other_;
};

// Steps of whole pages, of which every byte is written.
void Grow(KvSequence& sequence, base::ThreadPool& threads, int tokens) {
  while (sequence.length() < tokens) {
    const int count = std::min({256, tokens - sequence.length(), sequence.RoomInStep()});
    const std::vector<int32_t> ids(static_cast<size_t>(count), 7);
    ASSERT_TRUE(sequence.Extend(ids).has_value());
    const KvView view = sequence.View();
    for (int layer = 0; layer < view.num_layers; ++layer) {
      for (int head = 0; head < view.num_kv_heads; ++head) {
        for (int i = 0; i < count; i += kernels::kPageTokens) {
          const WriteSlot slot = view.slot(layer, head, i);
          ASSERT_EQ(slot.slot, 0);
          std::fill_n(slot.page, kernels::PageBytes(view.format, view.head_dim), std::byte{1});
        }
      }
    }
    sequence.Commit();
    sequence.ReleaseOutsideWindow();
    sequence.Compact(threads);
  }
}

// Each size of pages may have a slab of 2 MiB begun and one kept; headers and lists take the rest.
double Slack(size_t counted) {
  return 0.02 * static_cast<double>(counted) + (9 << 20);
}

void ExpectNear(int64_t resident, size_t counted) {
  EXPECT_NEAR(static_cast<double>(resident), static_cast<double>(counted), Slack(counted));
}

// Returns the bytes that were resident when all tokens were there.
int64_t ExpectResident(const KvShape& shape, const KvOptions& options, int tokens) {
  const auto pool = PagePool::Create(2 * kGib).value();
  base::ThreadPool threads(2);
  const int64_t before = ResidentBytes();
  int64_t whole = 0;
  {
    KvSequence sequence = KvSequence::Create(*pool, shape, options).value();
    Grow(sequence, threads, tokens);
    EXPECT_EQ(sequence.bytes(), BytesAt(shape, options.layout(), tokens));
    EXPECT_LT(Slack(sequence.bytes()), 0.15 * static_cast<double>(sequence.bytes()))
        << "too little to see a difference";
    whole = ResidentBytes() - before;
    ExpectNear(whole, sequence.bytes());
    // A layer with a window has forgotten what it would need there.
    EXPECT_EQ(sequence.Truncate(tokens / 2).has_value(), shape.windows.empty());
    ExpectNear(ResidentBytes() - before, sequence.bytes());
  }
  ExpectNear(ResidentBytes() - before, 0);
  return whole;
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
  ExpectResident(kShape, Open(kernels::PageFormat::kF16), 16 * 1024);
  ExpectResident(kShape, Open(kernels::PageFormat::kQ8), 24 * 1024);
}

TEST_F(ResidentMemory, OfCompactPagesIsWhatIsCounted) {
  for (const auto& [codec, tokens] : {std::pair{"ch4", 40 * 1024}, std::pair{"ch2", 64 * 1024}}) {
    ExpectResident(kShape, Compact(StoreOf(codec, kShape, tokens)), tokens);
  }
}

// The figure of docs/choosing-a-cache.md: 3 layers hold all tokens, in whole pages, and 15 their window and the page
// that is being filled, at 1024 bytes per token and layer.
TEST_F(ResidentMemory, OfLayersWithWindowsIsTheWindows) {
  constexpr int kTokens = 32696;
  const KvOptions options = Open(kernels::PageFormat::kF16);
  EXPECT_EQ(BytesAt(kShapeOfGemma3, options.layout(), kTokens), 109'314'048u);
  EXPECT_EQ(BytesAt(kShapeOfGemma3, options.layout(), kTokens), size_t{1024} * (3 * 32704 + 15 * 576));
  ExpectResident(kShapeOfGemma3, options, kTokens);
}

// What docs/choosing-a-cache.md promises: 128K tokens of the 1B shape with 2 to 3 bits, inside 2 GiB. Encoding them
// takes most of a minute, and every page has its bytes, whatever they say.
TEST_F(ResidentMemory, Of128KTokensOfTheShapeOf1BIsBelowTwoGib) {
  constexpr int kTokens = 128 * 1024;
  for (const char* codec : {"ch2", "ch3"}) {
    const auto options = Compact(std::make_shared<PagesOfTheSize>(StoreOf(codec, kShapeOf1B, kTokens)));
    // Keys and values of 64 features: one open page at the beginning and the last 128 tokens in f16, all others small.
    const size_t tables = size_t{16} * 8;
    const size_t small = options.compact->PageBytes(0);
    const size_t open = 2 * 64 * 64 * 2;
    EXPECT_EQ(BytesAt(kShapeOf1B, options.layout(), kTokens), tables * (3 * open + (kTokens / 64 - 3) * small));
    EXPECT_LT(ExpectResident(kShapeOf1B, options, kTokens), 2 * static_cast<int64_t>(kGib)) << codec;
  }
}

}  // namespace
}  // namespace kvasir::kvcache
