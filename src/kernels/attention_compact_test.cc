// Attention over compact pages: every instruction set against plain attention in double over unpacked pages, and the
// promises about bits.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/attention_testing.h"
#include "kernels/compact_codes.h"
#include "kernels/compact_testing.h"

namespace kvasir::kernels {
namespace {

constexpr int kBits[] = {2, 3, 4, 5, 8};
constexpr int kHeadDims[] = {16, 48, 64, 80, 96, 128, 256};
constexpr int kPages = 2;
constexpr int kFirstPage = 3;
constexpr int kMaxRows = 96;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Rows before, inside and behind the pages, in no order.
Query RandomQuery(int head_dim, int rows, uint64_t seed) {
  TestRandom random(seed);
  Query query{head_dim, std::vector<int32_t>(rows), std::vector<float>(static_cast<size_t>(rows) * head_dim)};
  for (int32_t& p : query.positions) p = kFirstPage * kPageTokens - 5 + random.Below(kPages * kPageTokens + 40);
  for (float& x : query.q) x = 2 * random.Signed() / std::sqrt(static_cast<float>(head_dim));
  return query;
}

Answer Attend(Isa isa, const CompactFormat& format, const Query& query, const std::vector<PageRef>& pages) {
  return AnswerOf(query, pages, [&](const AttendArgs& args) { TableOf(isa).attend_compact(args, format); });
}

// ---- the textbook's attention, over floats in the query's frame

// H x / n for each block of 32 features, a last one of 16.
std::vector<double> TurnedBack(const std::vector<double>& x) {
  std::vector<double> y(x.size());
  for (size_t first = 0; first < x.size(); first += 32) {
    const size_t n = std::min<size_t>(32, x.size() - first);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) y[first + i] += (std::popcount(i & j) % 2 == 0 ? 1 : -1) * x[first + j];
      y[first + i] /= static_cast<double>(n);
    }
  }
  return y;
}

struct Token {
  int position;
  std::vector<double> key, value;
};

std::vector<Token> Tokens(const CompactFormat& format, const TestRope& rope, int head_dim,
                          const std::vector<PageRef>& pages) {
  std::vector<Token> tokens;
  std::vector<float> keys(static_cast<size_t>(kPageTokens) * head_dim), values(keys.size());
  for (const PageRef& page : pages) {
    UnpackHalf(format.key, true, head_dim, page.data, keys.data());
    UnpackHalf(format.value, false, head_dim, page.data + HalfBytes(format.key, head_dim), values.data());
    for (int slot = 0; slot < page.count; ++slot) {
      Token token{page.first_position + slot, {}, {}};
      token.key.assign(keys.begin() + slot * head_dim, keys.begin() + (slot + 1) * head_dim);
      token.value.assign(values.begin() + slot * head_dim, values.begin() + (slot + 1) * head_dim);
      if (format.key.rotated) token.key = TurnedBack(token.key);
      if (format.value.rotated) token.value = TurnedBack(token.value);
      if (format.key.before_rope) {
        const std::vector<double> stored = token.key;
        const int pairs = format.rope.n_rot / 2;
        for (int i = 0; i < pairs; ++i) {
          const double angle = rope.StoredAngle(i, token.position);
          token.key[format.rope.neox ? i : 2 * i] =
              std::cos(angle) * stored[2 * i] - std::sin(angle) * stored[2 * i + 1];
          token.key[format.rope.neox ? i + pairs : 2 * i + 1] =
              std::sin(angle) * stored[2 * i] + std::cos(angle) * stored[2 * i + 1];
        }
      }
      tokens.push_back(std::move(token));
    }
  }
  return tokens;
}

Answer Plain(const Query& query, const std::vector<Token>& tokens) {
  const auto head_dim = static_cast<size_t>(query.head_dim);
  Answer answer;
  for (size_t r = 0; r < query.positions.size(); ++r) {
    std::vector<double> scores(tokens.size(), -std::numeric_limits<double>::infinity());
    double max = -std::numeric_limits<double>::infinity();
    for (size_t t = 0; t < tokens.size(); ++t) {
      const int distance = query.positions[r] - tokens[t].position;
      if (distance < 0 || (query.window != 0 && distance >= query.window)) continue;
      double score = 0;
      for (size_t d = 0; d < head_dim; ++d) score += query.q[r * head_dim + d] * tokens[t].key[d];
      if (query.softcap != 0) score = query.softcap * std::tanh(score / query.softcap);
      scores[t] = score;
      max = std::max(max, score);
    }
    std::vector<double> out(head_dim);
    double sum = 0;
    for (size_t t = 0; t < tokens.size() && std::isfinite(max); ++t) {
      const double p = std::exp(scores[t] - max);
      if (p == 0) continue;
      sum += p;
      for (size_t d = 0; d < head_dim; ++d) out[d] += p * tokens[t].value[d];
    }
    for (const double x : out) answer.out.push_back(static_cast<float>(sum == 0 ? 0 : x / sum));
    answer.lse.push_back(static_cast<float>(sum == 0 ? -kInfinity : max + std::log(sum)));
  }
  return answer;
}

// A format, its RoPE and pages: variant 0..63 of the keys with some variant of the values.
struct Case {
  Case(int bits, int variant, int head_dim)
      : rope(RotatedFeatures(variant, head_dim), variant % 2 == 1, kFirstPage + kPages,
             RotatedFeatures(variant, head_dim) / 2 * (variant % 3) / 2),
        format{HalfVariant(bits, variant),
               HalfVariant(kBits[(bits + variant) % 5], (variant * 13 + head_dim / 16) % 32), rope.view()},
        pages(format, head_dim, kPages, kFirstPage, static_cast<uint64_t>(variant)) {}
  static int RotatedFeatures(int variant, int head_dim) { return variant % 5 == 0 ? head_dim / 2 : head_dim; }
  std::string Name() const {
    const auto name = [](const CompactHalf& h) {
      return std::to_string(h.bits) + (h.grouping == Grouping::kChannels ? " by channel " : " by token ") +
             std::to_string(h.group) + (h.offset ? " offset" : "") + (h.rotated ? " rotated" : "") +
             (h.before_rope ? " before RoPE" : "") + (h.outliers != 0 ? " outliers" : "");
    };
    return "keys " + name(format.key) + ", values " + name(format.value);
  }
  TestRope rope;
  CompactFormat format;
  TestPages pages;
};

class CompactAttentionTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Bits, CompactAttentionTest, testing::ValuesIn(kBits));

TEST_P(CompactAttentionTest, MatchesPlainAttentionInEveryCombination) {
  for (const int head_dim : kHeadDims) {
    for (int variant = 0; variant < 64; ++variant) {
      Case test(GetParam(), variant, head_dim);
      ASSERT_TRUE(CheckCompact(test.format, head_dim).has_value());
      Query query = RandomQuery(head_dim, kMaxRows, static_cast<uint64_t>(variant));
      query.window = variant % 4 == 1 ? 50 : 0;
      query.softcap = variant % 7 == 2 ? 4.0F : 0.0F;
      const Answer expected = Plain(query, Tokens(test.format, test.rope, head_dim, test.pages.refs));
      for (const size_t turn : {0, 2, 3}) {  // every count of rows meets every kind of page, if not every variant
        const int rows = std::array{1, 3, 6, 13, kMaxRows}[(static_cast<size_t>(variant) + turn) % 5];
        for (const Isa isa : kAllIsas) {
          if (!IsaSupported(isa) || (isa == Isa::kRef && rows != 13)) continue;
          SCOPED_TRACE(testing::Message()
                       << test.Name() << ", D " << head_dim << " rows " << rows << " " << IsaName(isa));
          ExpectNear(Attend(isa, test.format, query.First(rows), test.pages.refs), expected,
                     isa == Isa::kRef ? 2e-5F : 3e-4F);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(CompactAttentionTest, ARowHasTheSameBitsAloneInAnyCompanyAndOnAnyVectors) {
  for (const int head_dim : {48, 64, 512}) {
    for (int variant = 0; variant < 64; variant += head_dim == 512 ? 5 : 1) {
      Case test(GetParam(), variant, head_dim);
      const Query query = RandomQuery(head_dim, 40, 5);
      for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kVnni}) {
        if (!IsaSupported(isa)) continue;
        const Answer together = Attend(isa, test.format, query, test.pages.refs);
        ExpectSameBits(together, Attend(Isa::kAvx2, test.format, query, test.pages.refs));
        const Answer few = Attend(isa, test.format, query.First(4), test.pages.refs);
        for (const int row : {0, 3, 39}) {
          SCOPED_TRACE(testing::Message()
                       << test.Name() << ", D " << head_dim << " row " << row << " " << IsaName(isa));
          const Answer alone = Attend(isa, test.format, query.Only(row), test.pages.refs);
          ExpectSameBits(alone, together.Only(row));
          if (row < 4) ExpectSameBits(alone, few.Only(row));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Makes all that belongs to token `slot` alone NaN: its scales and offsets by token, and the outliers there.
void Poison(const CompactHalf& half, int head_dim, int slot, HalfCodes& codes) {
  if (half.grouping == Grouping::kTokens) {
    for (int g = 0; g < GroupsOf(half, head_dim); ++g) {
      codes.scales[g * kPageTokens + slot] = kNan;
      if (half.offset) codes.offsets[g * kPageTokens + slot] = kNan;
    }
  }
  for (Outlier& outlier : codes.outliers) {
    if (outlier.slot == slot) outlier.difference = kNan;
  }
}

TEST_P(CompactAttentionTest, WhatARowDoesNotSeeDoesNotTouchItsBits) {
  constexpr int kHeadDim = 80;
  constexpr int kFirst = kFirstPage * kPageTokens;
  for (int variant = 0; variant < 64; ++variant) {
    Query query = RandomQuery(kHeadDim, 4, 9);
    query.positions = {kFirst + 70, kFirst + 71, kFirst + 72, kFirst + 73};
    query.window = 50;  // slots 21.. of page 0, ..6 to ..9 of page 1
    for (const Isa isa : kAllIsas) {
      if (!IsaSupported(isa)) continue;
      Case test(GetParam(), variant, kHeadDim);
      SCOPED_TRACE(testing::Message() << test.Name() << " " << IsaName(isa));
      const auto pack_with_outliers_at = [&](int first_page_slot, int second_page_slot) {
        for (auto* halves : {&test.pages.keys, &test.pages.values}) {
          for (Outlier& outlier : (*halves)[0].outliers) outlier.slot = static_cast<uint16_t>(first_page_slot);
          for (Outlier& outlier : (*halves)[1].outliers) outlier.slot = static_cast<uint16_t>(second_page_slot);
        }
        test.pages.Pack(0);
        test.pages.Pack(1);
      };
      pack_with_outliers_at(20, 10);
      const Answer expected = Attend(isa, test.format, query, test.pages.refs);
      for (const auto& [page, slot] : {std::pair(0, 0), std::pair(0, 20), std::pair(1, 10), std::pair(1, 63)}) {
        Poison(test.format.key, kHeadDim, slot, test.pages.keys[page]);
        Poison(test.format.value, kHeadDim, slot, test.pages.values[page]);
      }
      pack_with_outliers_at(20, 10);
      ExpectSameBits(Attend(isa, test.format, query, test.pages.refs), expected);
      if (HasFatalFailure()) return;

      // Only row 3 sees token 73, so only row 3 may change; NaN of values shows in its output.
      if (test.format.value.grouping != Grouping::kTokens) continue;
      Poison(test.format.value, kHeadDim, 9, test.pages.values[1]);
      test.pages.Pack(1);
      const Answer poisoned = Attend(isa, test.format, query, test.pages.refs);
      for (int d = 0; d < kHeadDim; ++d) ASSERT_TRUE(std::isnan(poisoned.out[3 * kHeadDim + d]));
      for (int at = 0; at < 3 * kHeadDim; ++at) ASSERT_EQ(poisoned.out[at], expected.out[at]);
    }
  }
}

TEST_P(CompactAttentionTest, PaddingAndUnusedPlacesAreNotLookedAt) {
  constexpr int kHeadDim = 64;
  for (int variant = 0; variant < 64; ++variant) {
    Case test(GetParam(), variant, kHeadDim);
    const Query query = RandomQuery(kHeadDim, 3, 11);
    for (const Isa isa : kAllIsas) {
      if (!IsaSupported(isa)) continue;
      const Answer expected = Attend(isa, test.format, query, test.pages.refs);
      std::byte* half = test.pages.page(0);
      for (const auto& [format, codes] :
           {std::pair(&test.format.key, &test.pages.keys[0]), std::pair(&test.format.value, &test.pages.values[0])}) {
        const HalfLayout layout = LayoutOf(*format, kHeadDim);
        size_t end = layout.outliers;
        if (format->outliers != 0) {
          const size_t used = codes->outliers.size();
          const size_t capacity = format->outliers;
          std::fill_n(half + layout.outliers + 2 + 2 * used, 2 * (capacity - used), std::byte{0xff});
          std::fill_n(half + layout.outliers + 2 + 2 * (capacity + used), 2 * (capacity - used), std::byte{0xff});
          end += 2 + 4 * capacity;
        }
        std::fill(half + end, half + layout.bytes, std::byte{0xff});
        half += layout.bytes;
      }
      SCOPED_TRACE(testing::Message() << test.Name() << " " << IsaName(isa));
      ExpectSameBits(Attend(isa, test.format, query, test.pages.refs), expected);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(CompactAttentionTest, ARowThatSeesNothingIsZeroWithMinusInfinity) {
  for (const int variant : {8, 40}) {
    Case test(GetParam(), variant, 64);
    Query query = RandomQuery(64, 3, 3);
    query.positions = {kFirstPage * kPageTokens - 1, kFirstPage * kPageTokens + 5, 0};
    for (const Isa isa : kAllIsas) {
      if (!IsaSupported(isa)) continue;
      const Answer answer = Attend(isa, test.format, query, test.pages.refs);
      for (const int row : {0, 2}) {
        EXPECT_EQ(answer.lse[row], -kInfinity);
        for (int d = 0; d < 64; ++d) ASSERT_EQ(answer.out[row * 64 + d], 0.0F);
      }
      EXPECT_TRUE(std::isfinite(answer.lse[1]));
      const Answer without_pages = Attend(isa, test.format, query, {});
      for (const float lse : without_pages.lse) ASSERT_EQ(lse, -kInfinity);
      for (const float x : without_pages.out) ASSERT_EQ(x, 0.0F);
    }
  }
}

}  // namespace
}  // namespace kvasir::kernels
