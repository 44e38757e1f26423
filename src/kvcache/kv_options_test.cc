#include "kvcache/kv_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir::kvcache {
namespace {

using kernels::PageFormat;
using testing::HasSubstr;

KvShape SmolLm() {
  return {.layers = 30, .kv_heads = 3, .head_dim = 64, .windows = {}};
}

TEST(KvOptionsTest, DefaultsAreValid) {
  EXPECT_TRUE(KvOptions{}.Validate());
}

TEST(KvOptionsTest, ErrorsNameTheFieldAndItsValue) {
  const auto message = [](const Status& status) { return status ? std::string("fine") : status.error().message; };
  EXPECT_THAT(message(KvOptions{.sinks = -1}.Validate()), HasSubstr("sink tokens is -1"));
  EXPECT_THAT(message(KvOptions{.recent = -7}.Validate()), HasSubstr("recent tokens is -7"));
  EXPECT_THAT(message(KvOptions{.budget_bytes = 0}.Validate()), HasSubstr("budget is 0"));
  EXPECT_THAT(message(KvOptions{.format = static_cast<PageFormat>(9)}.Validate()), HasSubstr("format 9"));

  EXPECT_TRUE(SmolLm().Validate());
  KvShape shape = SmolLm();
  shape.layers = 0;
  EXPECT_THAT(message(shape.Validate()), HasSubstr("layers is 0"));
  shape = SmolLm();
  shape.head_dim = 40;
  EXPECT_THAT(message(shape.Validate()), HasSubstr("head size is 40"));
  shape.head_dim = 1024;
  EXPECT_THAT(message(shape.Validate()), HasSubstr("head size is 1024"));
  shape = SmolLm();
  shape.windows = {1, 2};
  EXPECT_THAT(message(shape.Validate()), HasSubstr("2 sliding windows are given for 30 layers"));
  shape.windows.assign(30, 0);
  shape.windows[4] = -3;
  EXPECT_THAT(message(shape.Validate()), HasSubstr("layer 4 is -3"));
}

TEST(KvOptionsTest, BytesOfRealModels) {
  // SmolLM2-135M: 30 layers x 3 heads x (64 keys + 64 values) x 2 bytes.
  EXPECT_EQ(BytesPerToken(SmolLm(), PageFormat::kF16), 23040u);
  EXPECT_EQ(BytesPerToken(SmolLm(), PageFormat::kF32), 46080u);
  EXPECT_EQ(BytesPerToken(SmolLm(), PageFormat::kQ8), 12240u);  // 8.5 bits per element
  EXPECT_EQ(BytesAt(SmolLm(), PageFormat::kF16, 0), 0u);
  EXPECT_EQ(BytesAt(SmolLm(), PageFormat::kF16, 1), 64 * 23040u);
  EXPECT_EQ(BytesAt(SmolLm(), PageFormat::kF16, 64), 64 * 23040u);
  EXPECT_EQ(BytesAt(SmolLm(), PageFormat::kF16, 65), 2 * 64 * 23040u);
  EXPECT_EQ(BytesAt(SmolLm(), PageFormat::kF16, 8192), 8192 * 23040u);
}

// gemma3-270m behind 32,696 tokens, as docs/choosing-a-cache.md has it: every sixth of 18 layers sees everything, the
// others 512 tokens, at 1024 bytes per token and layer.
TEST(KvOptionsTest, BytesOfAModelWithWindows) {
  KvShape gemma3 = {.layers = 18, .kv_heads = 1, .head_dim = 256, .windows = std::vector<int>(18, 512)};
  for (size_t layer = 5; layer < 18; layer += 6) gemma3.windows[layer] = 0;
  EXPECT_EQ(BytesAt(gemma3, PageFormat::kF16, 32696), 109'314'048u);
  EXPECT_EQ(BytesAt(gemma3, PageFormat::kF16, 32696), 1024u * (3 * 32704 + 15 * 576));
  gemma3.windows.clear();
  EXPECT_EQ(BytesAt(gemma3, PageFormat::kF16, 32696), 1024u * 18 * 32704);
}

TEST(KvOptionsTest, LayersWithAWindowHoldWhatTheNextQuerySees) {
  const KvShape shape = {.layers = 2, .kv_heads = 1, .head_dim = 16, .windows = {0, 100}};
  const size_t page = kernels::PageBytes(PageFormat::kF16, 16);
  const auto pages = [&](int64_t context) { return BytesAt(shape, PageFormat::kF16, context) / page; };
  EXPECT_EQ(pages(100), 2u + 2);  // a query at 100 sees 1..100: both pages
  EXPECT_EQ(pages(163), 3u + 2);  // at 163: 64..163, page 0 is gone
  EXPECT_EQ(pages(162), 3u + 3);  // at 162: 63..162, page 0 still holds 63
  EXPECT_EQ(pages(6400), 100u + 2);
  // During a step the pages of its first query are still there.
  EXPECT_EQ(BytesDuringStep(shape, PageFormat::kF16, 6400, 256) / page, 100u + 6);
}

TEST(KvOptionsTest, PeakBoundsEveryStep) {
  for (const int window : {0, 1, 63, 64, 65, 100, 512}) {
    const KvShape shape = {.layers = 1, .kv_heads = 1, .head_dim = 16, .windows = {window}};
    for (const int64_t context : {1, 64, 100, 1000}) {
      for (const int64_t step : {1, 7, 64, 200}) {
        const size_t peak = PeakBytes(shape, PageFormat::kF32, context, step);
        for (int64_t end = 1; end <= context; ++end) {
          for (const int64_t taken : {std::min<int64_t>(1, end), std::min(step, end)}) {
            ASSERT_LE(BytesDuringStep(shape, PageFormat::kF32, end, taken), peak)
                << "window " << window << " context " << end << " step " << taken;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvasir::kvcache
