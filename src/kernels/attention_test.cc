// Attention and page access of every instruction set against the reference in double, and the promises about bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/attention_testing.h"
#include "kernels/kernels.h"

namespace kvasir::kernels {
namespace {

constexpr PageFormat kFormats[] = {PageFormat::kF32, PageFormat::kF16, PageFormat::kQ8, PageFormat::kE4M3,
                                   PageFormat::kE5M2};
constexpr const char* kFormatNames[] = {"f32", "f16", "q8", "fp8_e4m3", "fp8_e5m2"};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Random(size_t n, uint32_t seed, float scale = 1.0f) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(n);
  for (float& v : values) v = normal(engine);
  return values;
}

// Pages of random tokens at positions first_position, first_position + 1, ... All bytes of unused slots are 0xff: NaN.
class Pages {
 public:
  Pages(PageFormat format, int head_dim, int tokens, int first_position = 0, uint32_t seed = 1, float scale = 1.0f)
      : format_(format), head_dim_(head_dim), tokens_(tokens) {
    const int num_pages = (tokens + kPageTokens - 1) / kPageTokens;
    const size_t page_bytes = PageBytes(format, head_dim);
    // A page starts at a multiple of 64, as the pool promises.
    bytes_ = AlignedBytes(num_pages * page_bytes);
    std::memset(bytes_.data(), 0xff, bytes_.size());
    const std::vector<float> keys = Random(static_cast<size_t>(tokens) * head_dim, seed, scale);
    const std::vector<float> values = Random(static_cast<size_t>(tokens) * head_dim, seed + 1000);
    for (int i = 0; i < num_pages; ++i) {
      std::byte* page = bytes_.data() + i * page_bytes;
      const int count = std::min(kPageTokens, tokens - i * kPageTokens);
      refs_.push_back({.data = page, .first_position = first_position + i * kPageTokens, .count = count});
      for (int slot = 0; slot < count; ++slot) {
        const size_t at = static_cast<size_t>(i * kPageTokens + slot) * head_dim;
        StoreToken(i, slot, &keys[at], &values[at]);
      }
    }
  }

  void StoreToken(int page, int slot, const float* key, const float* value) {
    auto* data = const_cast<std::byte*>(refs_[page].data);
    TableOf(Isa::kRef).store_kv[static_cast<int>(format_)](data, head_dim_, slot, key, value);
  }
  // Makes key and value of a token NaN.
  void Poison(int token) {
    const std::vector<float> nan(head_dim_, std::numeric_limits<float>::quiet_NaN());
    StoreToken(token / kPageTokens, token % kPageTokens, nan.data(), nan.data());
  }
  std::vector<PageRef>& refs() { return refs_; }
  int tokens() const { return tokens_; }

 private:
  PageFormat format_;
  int head_dim_;
  int tokens_;
  AlignedBytes bytes_;
  std::vector<PageRef> refs_;
};

Query MakeQuery(int head_dim, std::vector<int32_t> positions, uint32_t seed = 7, float scale = 1.0f) {
  const size_t n = positions.size() * head_dim;
  return {head_dim, std::move(positions), Random(n, seed, scale / std::sqrt(static_cast<float>(head_dim)))};
}

Answer Attend(Isa isa, PageFormat format, const Query& query, const std::vector<PageRef>& pages) {
  return AnswerOf(query, pages, [&](const AttendArgs& args) { TableOf(isa).attend[static_cast<int>(format)](args); });
}

// The last `rows` positions of `tokens`: what a prefill step attends with.
std::vector<int32_t> LastPositions(int tokens, int rows) {
  std::vector<int32_t> positions(rows);
  for (int r = 0; r < rows; ++r) positions[r] = std::max(0, tokens - rows + r);
  return positions;
}

// What queries and weights rounded to 16 bits may cost beside the rounding of floats.
float ToleranceOf(PageFormat format, float of_floats) {
  return format == PageFormat::kQ8 ? 20 * of_floats : of_floats;
}

// Of one format. The reference, which takes longer than all others, is asked once for them.
class AttentionGridTest : public testing::TestWithParam<PageFormat> {
 protected:
  static void ExpectTheReference(const Query& query, const std::vector<PageRef>& pages, float of_floats) {
    const Answer expected = Attend(Isa::kRef, GetParam(), query, pages);
    const float tolerance = ToleranceOf(GetParam(), of_floats);
    for (const Isa isa : kAllIsas) {
      // The reference itself is checked by the closed forms below.
      if (isa == Isa::kRef || !IsaSupported(isa)) continue;
      SCOPED_TRACE(IsaName(isa));
      ExpectNear(Attend(isa, GetParam(), query, pages), expected, tolerance, tolerance);
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Formats, AttentionGridTest, testing::ValuesIn(kFormats),
                         [](const auto& test) { return kFormatNames[static_cast<int>(test.param)]; });

TEST_P(AttentionGridTest, EveryInstructionSetMatchesTheReference) {
  for (const int head_dim : {16, 32, 64, 80, 96, 128, 256, 512}) {
    for (const int tokens : {1, 64, 65, 200, 320}) {
      Pages pages(GetParam(), head_dim, tokens);
      for (const int rows : {1, 2, 3, 4, 5, 6, 7, 9, 17, 100}) {
        SCOPED_TRACE(testing::Message() << "D " << head_dim << " tokens " << tokens << " rows " << rows);
        ExpectTheReference(MakeQuery(head_dim, LastPositions(tokens, rows)), pages.refs(), 1e-5f);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(AttentionGridTest, EveryInstructionSetMatchesItWithWindowAndSoftcap) {
  for (const int head_dim : {32, 80, 256}) {
    for (const int first_position : {0, 192, 1024}) {
      Pages pages(GetParam(), head_dim, 250, first_position);
      for (const int window : {1, 2, 16, 63, 64, 65, 128, 512}) {
        for (const float softcap : {0.0f, 5.0f, 50.0f}) {
          // Rows before, inside and behind the pages, in no order.
          std::vector<int32_t> positions = {249, 0, 63, 64, 100, 127, 128, 300, 200, 313, 5};
          for (int32_t& p : positions) p += first_position;
          Query query = MakeQuery(head_dim, positions, 7, 8.0f);
          query.window = window;
          query.softcap = softcap;
          SCOPED_TRACE(testing::Message() << "D " << head_dim << " window " << window << " softcap " << softcap);
          ExpectTheReference(query, pages.refs(), 3e-5f);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

class AttentionTest : public testing::TestWithParam<std::tuple<Isa, PageFormat>> {
 protected:
  void SetUp() override {
    if (!IsaSupported(isa())) GTEST_SKIP() << "this machine does not run " << IsaName(isa());
  }
  Isa isa() const { return std::get<0>(GetParam()); }
  PageFormat format() const { return std::get<1>(GetParam()); }
  // How far element d of a stored vector may be from what was stored.
  float StorageError(const std::vector<float>& x, int d) const {
    if (format() == PageFormat::kF32) return 0;
    if (format() == PageFormat::kF16) return std::abs(x[d]) / 2048;
    if (format() == PageFormat::kE4M3) return std::max(std::abs(x[d]) / 16, 0x1p-10f);
    if (format() == PageFormat::kE5M2) return std::max(std::abs(x[d]) / 8, 0x1p-17f);
    const int first = d / kQ8BlockFeatures * kQ8BlockFeatures;
    float max = 0;
    const int end = std::min(first + kQ8BlockFeatures, static_cast<int>(x.size()));
    for (int i = first; i < end; ++i) max = std::max(max, std::abs(x[i]));
    return max / 254 * 1.002f;  // half a step; the scale is an f16, rounded up
  }
  float Tolerance(float of_floats) const { return ToleranceOf(format(), of_floats); }
};

INSTANTIATE_TEST_SUITE_P(Isas, AttentionTest,
                         testing::Combine(testing::ValuesIn(kAllIsas), testing::ValuesIn(kFormats)),
                         [](const auto& test) {
                           return std::string(IsaName(std::get<0>(test.param))) + "_" +
                                  kFormatNames[static_cast<int>(std::get<1>(test.param))];
                         });

TEST_P(AttentionTest, OneKeyGivesItsValueAndItsScore) {
  Pages pages(format(), 64, 3);
  const Query query = MakeQuery(64, {0});
  std::vector<float> key(64), value(64);
  TableOf(Isa::kRef).load_kv[static_cast<int>(format())](pages.refs()[0].data, 64, 0, key.data(), value.data());
  const Answer answer = Attend(isa(), format(), query, pages.refs());
  EXPECT_NEAR(answer.lse[0], std::inner_product(key.begin(), key.end(), query.q.begin(), 0.0), Tolerance(1e-5f));
  for (int d = 0; d < 64; ++d) ASSERT_NEAR(answer.out[d], value[d], 1e-6f);
}

TEST_P(AttentionTest, EqualKeysGiveTheMeanOfTheValues) {
  constexpr int kTokens = 100;
  Pages pages(format(), 32, kTokens);
  const std::vector<float> key(32, 0.5f);
  for (int i = 0; i < kTokens; ++i) {
    const std::vector<float> value(32, static_cast<float>(i));
    pages.StoreToken(i / kPageTokens, i % kPageTokens, key.data(), value.data());
  }
  Query query = MakeQuery(32, {kTokens - 1});
  std::fill(query.q.begin(), query.q.end(), 0.25f);
  std::vector<float> mean(32, 0), key_back(32), value(32);  // of the values as stored
  for (int i = 0; i < kTokens; ++i) {
    TableOf(Isa::kRef).load_kv[static_cast<int>(format())](pages.refs()[i / kPageTokens].data, 32, i % kPageTokens,
                                                           key_back.data(), value.data());
    for (int d = 0; d < 32; ++d) mean[d] += value[d] / kTokens;
  }
  const Answer answer = Attend(isa(), format(), query, pages.refs());
  const bool rounds = format() == PageFormat::kQ8;  // the scale of a block to f16
  EXPECT_NEAR(answer.lse[0], 32 * 0.125 + std::log(static_cast<double>(kTokens)), rounds ? 4e-3 : 1e-5);
  for (int d = 0; d < 32; ++d) ASSERT_NEAR(answer.out[d], mean[d], rounds ? 2e-3f : 1e-4f);
}

TEST_P(AttentionTest, ARowThatSeesNothingIsZeroWithMinusInfinity) {
  Pages pages(format(), 64, 70, 128);
  Query query = MakeQuery(64, {127, 130, 0, 1000});
  query.window = 100;
  const Answer answer = Attend(isa(), format(), query, pages.refs());
  for (const int row : {0, 2, 3}) {
    EXPECT_EQ(answer.lse[row], -kInfinity);
    for (int d = 0; d < 64; ++d) ASSERT_EQ(answer.out[row * 64 + d], 0.0f);
  }
  EXPECT_TRUE(std::isfinite(answer.lse[1]));

  query.window = 0;
  const Answer without_pages = Attend(isa(), format(), query, {});
  EXPECT_THAT(without_pages.lse, testing::Each(-kInfinity));
  EXPECT_THAT(without_pages.out, testing::Each(0.0f));
}

TEST_P(AttentionTest, ARowHasTheSameBitsAloneAndInAnyCompany) {
  constexpr int kHeadDim = 80;
  Pages pages(format(), kHeadDim, 200);
  std::mt19937 engine(3);
  for (const int window : {0, 50}) {
    for (int rows = 1; rows <= 20; ++rows) {
      std::vector<int32_t> positions(rows);
      for (int32_t& p : positions) p = static_cast<int32_t>(engine() % 260);
      Query all = MakeQuery(kHeadDim, positions, static_cast<uint32_t>(engine()));
      all.window = window;
      const Answer together = Attend(isa(), format(), all, pages.refs());
      for (int r = 0; r < rows; ++r) {
        ExpectSameBits(Attend(isa(), format(), all.Only(r), pages.refs()), together.Only(r));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(AttentionTest, WhatARowDoesNotSeeDoesNotTouchItsBits) {
  constexpr int kHeadDim = 64;
  constexpr int kWindow = 70;
  // Rows of one tile with different positions; tokens outside everyone's sight are NaN.
  Query query = MakeQuery(kHeadDim, {150, 151, 152, 153});
  query.window = kWindow;
  Pages pages(format(), kHeadDim, 300);
  const Answer expected = Attend(isa(), format(), query, pages.refs());
  for (int token = 0; token < 300; ++token) {
    if (token <= 150 - kWindow || token > 153) pages.Poison(token);
  }
  ExpectSameBits(Attend(isa(), format(), query, pages.refs()), expected);

  // Only row 3 sees token 153, so only row 3 may change.
  pages.Poison(153);
  const Answer poisoned = Attend(isa(), format(), query, pages.refs());
  EXPECT_TRUE(std::isnan(poisoned.out[3 * kHeadDim]));
  EXPECT_TRUE(std::isnan(poisoned.lse[3]));
  for (int i = 0; i < 3 * kHeadDim; ++i) ASSERT_EQ(poisoned.out[i], expected.out[i]);

  // Wholly invisible pages at both ends, and later tokens in the last visible page.
  Pages clean(format(), kHeadDim, 300);
  std::vector<PageRef> fewer(clean.refs().begin() + 1, clean.refs().begin() + 3);
  fewer[1].count = 154 - 128;
  ExpectSameBits(Attend(isa(), format(), query, fewer), expected);
}

TEST_P(AttentionTest, ExtremeScoresStayFinite) {
  for (const float scale : {100.0f, 3000.0f}) {
    Pages pages(format(), 64, 150, 0, 5, scale);
    Query query = MakeQuery(64, {149, 20, 77}, 9, scale);
    const Answer answer = Attend(isa(), format(), query, pages.refs());
    for (const float v : answer.out) ASSERT_TRUE(std::isfinite(v));
    for (const float v : answer.lse) ASSERT_TRUE(std::isfinite(v));
    if (isa() != Isa::kRef) {  // one key holds all the mass, so the sharpest softmax is also exact
      const Answer expected = Attend(Isa::kRef, format(), query, pages.refs());
      for (size_t i = 0; i < answer.out.size(); ++i) {
        ASSERT_NEAR(answer.out[i], expected.out[i], 1e-6f * scale * scale) << i;
      }
    }
  }
}

TEST_P(AttentionTest, StoredTokensReadBackAndTheirNeighboursStay) {
  for (const int head_dim : {16, 64, 80, 256}) {
    const size_t bytes = PageBytes(format(), head_dim);
    std::vector<std::byte> page(bytes, std::byte{0x3c});
    std::vector<std::byte> expected = page;
    const int f = static_cast<int>(format());
    for (const int slot : {0, 1, 31, 63}) {
      const std::vector<float> key = Random(head_dim, 10 + slot, 3.0f);
      const std::vector<float> value = Random(head_dim, 20 + slot, 3.0f);
      TableOf(isa()).store_kv[f](page.data(), head_dim, slot, key.data(), value.data());
      TableOf(Isa::kRef).store_kv[f](expected.data(), head_dim, slot, key.data(), value.data());
      ASSERT_EQ(page, expected) << "D " << head_dim << " slot " << slot;

      std::vector<float> key_back(head_dim), value_back(head_dim);
      TableOf(isa()).load_kv[f](page.data(), head_dim, slot, key_back.data(), value_back.data());
      for (int d = 0; d < head_dim; ++d) {
        // Rotated, a key's largest element is larger, and so is its step; what comes back is a mean of many errors.
        ASSERT_NEAR(key_back[d], key[d], 4 * StorageError(key, d));
        ASSERT_NEAR(value_back[d], value[d], StorageError(value, d));
      }
    }
  }
}

TEST_P(AttentionTest, LargeValuesSaturate) {
  const int f = static_cast<int>(format());
  std::vector<std::byte> page(PageBytes(format(), 16));
  std::vector<float> key(16, 1e9f), value(16, -1e9f), key_back(16), value_back(16);
  TableOf(isa()).store_kv[f](page.data(), 16, 5, key.data(), value.data());
  TableOf(isa()).load_kv[f](page.data(), 16, 5, key_back.data(), value_back.data());
  constexpr float kLargest[] = {1e9f, 65504.0f, 127 * 65504.0f, 448.0f, 57344.0f};
  const float largest = kLargest[f];
  // A q8 key of equal elements is stored as their sum.
  EXPECT_THAT(key_back, testing::Each(format() == PageFormat::kQ8 ? largest / 16 : largest));
  EXPECT_THAT(value_back, testing::Each(-largest));
}

TEST_P(AttentionTest, StoringAnythingGivesTheReferencesBytes) {
  constexpr float kSpecial[] = {0.0f, -0.0f, 1e-9f, 3e-8f, 1e-40f, 5e-6f, 127.0f, 1e30f, kInfinity, -kInfinity};
  const int f = static_cast<int>(format());
  for (const float special : kSpecial) {
    for (const float scale : {0.0f, 1e-7f, 1e-5f, 1.0f, 1e5f}) {
      std::vector<std::byte> page(PageBytes(format(), 80));
      std::vector<std::byte> expected = page;
      std::vector<float> key = Random(80, 1, scale);
      const std::vector<float> value = Random(80, 2, scale);
      key[33] = special;
      TableOf(isa()).store_kv[f](page.data(), 80, 7, key.data(), value.data());
      TableOf(Isa::kRef).store_kv[f](expected.data(), 80, 7, key.data(), value.data());
      ASSERT_EQ(page, expected) << special << " among " << scale;
    }
  }
}

TEST_P(AttentionTest, VectorInstructionSetsAgreeBitForBit) {
  if (isa() == Isa::kRef || isa() == Isa::kAvx2) return;  // compared with avx2
  for (const int head_dim : {32, 80, 128}) {
    Pages pages(format(), head_dim, 170);
    Query query = MakeQuery(head_dim, LastPositions(170, 9));
    query.softcap = 30.0f;
    ExpectSameBits(Attend(isa(), format(), query, pages.refs()), Attend(Isa::kAvx2, format(), query, pages.refs()));
  }
}

TEST(PageBytesTest, CountsEveryBit) {
  EXPECT_EQ(PageBytes(PageFormat::kF32, 64), 2u * 64 * 64 * 4);
  EXPECT_EQ(PageBytes(PageFormat::kF16, 64), 2u * 64 * 64 * 2);
  EXPECT_EQ(PageBytes(PageFormat::kQ8, 64), 2u * 64 * (64 + 2 * 2));  // 8.5 bits per element
  EXPECT_EQ(PageBytes(PageFormat::kE4M3, 64), 2u * 64 * 64);
  EXPECT_EQ(PageBytes(PageFormat::kE5M2, 80), 2u * 64 * 80);
  EXPECT_EQ(PageBytes(PageFormat::kQ8, 80), 2u * 64 * (80 + 3 * 2));
}

}  // namespace
}  // namespace kvasir::kernels
