#include "kvcache/span.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kvcache/view.h"

namespace kvasir::kvcache {
namespace {

using kernels::kPageTokens;
using kernels::PageRef;
constexpr float kNone = -std::numeric_limits<float>::infinity();

// Pages for positions [first_block * 64, length).
std::vector<PageRef> Pages(int first_block, int length) {
  std::vector<PageRef> pages;
  for (int position = first_block * kPageTokens; position < length; position += kPageTokens) {
    pages.push_back({.data = nullptr, .first_position = position, .count = std::min(kPageTokens, length - position)});
  }
  return pages;
}

TEST(SpanTest, VisibleSpansFollowRowsWindowAndHeldPages) {
  const auto pages = Pages(0, 1000);
  EXPECT_EQ(VisibleSpans(pages, 999, 999, 0), (SpanRange{0, 4}));
  EXPECT_EQ(VisibleSpans(pages, 0, 0, 0), (SpanRange{0, 1}));
  EXPECT_EQ(VisibleSpans(pages, 0, 255, 0), (SpanRange{0, 1}));
  EXPECT_EQ(VisibleSpans(pages, 200, 256, 0), (SpanRange{0, 2}));
  EXPECT_EQ(VisibleSpans(pages, 600, 700, 100), (SpanRange{1, 3}));  // sees from 501
  EXPECT_EQ(VisibleSpans(pages, 611, 700, 100), (SpanRange{2, 3}));  // sees from 512
  EXPECT_EQ(VisibleSpans(pages, 999, 5000, 0), (SpanRange{0, 4}));   // pages end before the rows
  EXPECT_EQ(VisibleSpans(pages, 5000, 5000, 100).size(), 0);
  EXPECT_EQ(VisibleSpans({}, 5, 5, 0).size(), 0);
  const auto released = Pages(9, 1000);  // from 576 on
  EXPECT_EQ(VisibleSpans(released, 999, 999, 0), (SpanRange{2, 4}));
  EXPECT_EQ(VisibleSpans(released, 100, 100, 0).size(), 0);
}

TEST(SpanTest, PagesOfASpanAreThoseOfItsPositions) {
  const auto pages = Pages(0, 1000);
  EXPECT_EQ(PagesOfSpan(pages, 0).size(), 4u);
  EXPECT_EQ(PagesOfSpan(pages, 1).front().first_position, 256);
  EXPECT_EQ(PagesOfSpan(pages, 3).size(), 4u);
  EXPECT_EQ(PagesOfSpan(pages, 3).back().count, 1000 - 960);
  EXPECT_TRUE(PagesOfSpan(pages, 4).empty());
  const auto released = Pages(9, 1000);
  EXPECT_EQ(PagesOfSpan(released, 2).size(), 3u);
  EXPECT_TRUE(PagesOfSpan(released, 1).empty());
}

TEST(SpanTest, TheSpansOfARangeHoldEveryVisiblePageOnce) {
  std::mt19937 engine(1);
  for (int i = 0; i < 2000; ++i) {
    const int length = 1 + static_cast<int>(engine() % 2000);
    const int first_block = static_cast<int>(engine() % static_cast<uint32_t>((length + 63) / 64));
    const int window = engine() % 2 == 0 ? 0 : 1 + static_cast<int>(engine() % 600);
    const int first_row = static_cast<int>(engine() % static_cast<uint32_t>(length));
    const int last_row = first_row + static_cast<int>(engine() % 100);
    const auto pages = Pages(first_block, length);
    const SpanRange range = VisibleSpans(pages, first_row, last_row, window);
    std::vector<int32_t> yielded;
    for (int32_t span = range.begin; span < range.end; ++span) {
      for (const PageRef& page : PagesOfSpan(pages, span)) {
        ASSERT_EQ(page.first_position / kSpanTokens, span);
        yielded.push_back(page.first_position);
      }
    }
    ASSERT_TRUE(std::is_sorted(yielded.begin(), yielded.end()));
    for (const PageRef& page : pages) {
      const bool seen =
          page.first_position <= last_row && (window == 0 || page.first_position + page.count > first_row - window + 1);
      ASSERT_TRUE(!seen || std::binary_search(yielded.begin(), yielded.end(), page.first_position));
    }
  }
}

// Attention over `n` random keys of one-hot-free scores and values: what merging must reproduce.
struct Partial {
  std::vector<float> o;
  float lse = kNone;
};

Partial Attend(const std::vector<float>& scores, const std::vector<std::vector<float>>& values, size_t begin,
               size_t end, int dim) {
  Partial partial{std::vector<float>(dim, 0.0f)};
  if (begin == end) return partial;
  double max = scores[begin];
  for (size_t i = begin; i < end; ++i) max = std::max<double>(max, scores[i]);
  double sum = 0;
  std::vector<double> o(dim, 0.0);
  for (size_t i = begin; i < end; ++i) {
    const double p = std::exp(scores[i] - max);
    sum += p;
    for (int d = 0; d < dim; ++d) o[d] += p * values[i][d];
  }
  for (int d = 0; d < dim; ++d) partial.o[d] = static_cast<float>(o[d] / sum);
  partial.lse = static_cast<float>(max + std::log(sum));
  return partial;
}

Partial Merged(Partial a, const Partial& b) {
  const int dim = static_cast<int>(a.o.size());
  Partial merged{std::vector<float>(dim, std::nanf(""))};  // what is there before the first merge does not count
  MergeState state;
  MergePartial(merged.o.data(), &state, a.o.data(), a.lse, dim);
  MergePartial(merged.o.data(), &state, b.o.data(), b.lse, dim);
  FinishMerge(merged.o.data(), state, dim);
  merged.lse = state.reference + std::log(state.weight);
  return merged;
}

void ExpectNear(const Partial& a, const Partial& b) {
  EXPECT_NEAR(a.lse, b.lse, 2e-6f * (1 + std::abs(b.lse)));
  for (size_t d = 0; d < a.o.size(); ++d) ASSERT_NEAR(a.o[d], b.o[d], 1e-6f * 8);
}

class MergeTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    std::mt19937 engine(static_cast<uint32_t>(GetParam()));
    std::normal_distribution<float> normal;
    for (int i = 0; i < 90; ++i) {
      scores_.push_back(10 * normal(engine));
      values_.emplace_back();
      for (int d = 0; d < dim(); ++d) values_.back().push_back(normal(engine));
    }
  }
  int dim() const { return GetParam(); }
  Partial Over(size_t begin, size_t end) const { return Attend(scores_, values_, begin, end, dim()); }
  std::vector<float> scores_;
  std::vector<std::vector<float>> values_;
};

INSTANTIATE_TEST_SUITE_P(Dims, MergeTest, testing::Values(16, 64, 80, 256));

TEST_P(MergeTest, EqualsAttentionOverTheUnion) {
  ExpectNear(Merged(Over(0, 30), Over(30, 90)), Over(0, 90));
  ExpectNear(Merged(Over(0, 1), Over(1, 90)), Over(0, 90));
}

TEST_P(MergeTest, IsAssociativeAndCommutative) {
  const Partial a = Over(0, 20), b = Over(20, 55), c = Over(55, 90);
  ExpectNear(Merged(Merged(a, b), c), Merged(a, Merged(b, c)));
  ExpectNear(Merged(a, b), Merged(b, a));
}

TEST_P(MergeTest, NothingSeenOnOneSideLeavesTheOthersBits) {
  const Partial some = Over(0, 20);
  Partial none{std::vector<float>(dim(), 123.0f), kNone};  // its o does not count, whatever it holds
  for (const Partial& merged : {Merged(some, none), Merged(none, some)}) {
    EXPECT_EQ(merged.lse, some.lse);
    EXPECT_EQ(merged.o, some.o);
  }
  EXPECT_EQ(Merged(none, none).lse, kNone);
  EXPECT_EQ(Merged(none, none).o, std::vector<float>(dim(), 0.0f));
}

TEST_P(MergeTest, ManyPartsStayAsExactAsTwo) {
  std::vector<float> o(dim());
  MergeState state;
  for (size_t begin = 0; begin < 90; begin += 3) {
    const Partial part = Over(begin, begin + 3);
    MergePartial(o.data(), &state, part.o.data(), part.lse, dim());
  }
  FinishMerge(o.data(), state, dim());
  ExpectNear({o, state.reference + std::log(state.weight)}, Over(0, 90));
}

TEST_P(MergeTest, ANaNShows) {
  for (const bool first : {false, true}) {
    Partial bad = Over(0, 20);
    bad.lse = std::nanf("");
    const Partial merged = first ? Merged(bad, Over(20, 90)) : Merged(Over(20, 90), bad);
    EXPECT_TRUE(std::isnan(merged.o[0])) << first;
  }
}

TEST_P(MergeTest, FarApartScoresDoNotOverflow) {
  Partial small = Over(0, 20), large = Over(20, 40);
  small.lse = -3e4f;
  large.lse = 3e4f;
  EXPECT_EQ(Merged(small, large).o, large.o);
  EXPECT_EQ(Merged(large, small).o, large.o);
  EXPECT_EQ(Merged(small, large).lse, 3e4f);
}

TEST(ViewTest, SlotsOfNewTokensAreTheLastOnesInOrder) {
  std::byte bytes[4];
  std::vector<PageRef> pages = Pages(2, 300);  // 128..299: 64, 64, 44
  for (size_t i = 0; i < pages.size(); ++i) pages[i].data = &bytes[i];
  const HeadPages head{pages};
  KvView view{.num_layers = 1, .num_kv_heads = 1, .head_dim = 16, .first_new_position = 150, .num_new = 150};
  view.heads = {&head, 1};
  for (int i = 0; i < view.num_new; ++i) {
    const int position = 150 + i;
    const WriteSlot slot = view.slot(0, 0, i);
    ASSERT_EQ(slot.page, &bytes[position / 64 - 2]) << position;
    ASSERT_EQ(slot.slot, position % 64);
  }
}

}  // namespace
}  // namespace kvasir::kvcache
