#include "kvcache/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace kvasir::kvcache {
namespace {

constexpr int kHeadDim = 32;

const kernels::KernelTable& Table() {
  return kernels::TableOf(kernels::BestIsa());
}

TEST(CodecTest, EveryCodecIsFoundByItsName) {
  for (const Codec* codec : Codecs()) EXPECT_EQ(FindCodec(codec->name()).value(), codec);
  EXPECT_EQ(FindCodec("f16").value(), &NativeCodec(kernels::PageFormat::kF16));
  const auto unknown = FindCodec("q99");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(unknown.error().message, testing::HasSubstr("'q99': there are f32, f16, q8"));
}

class EachCodecTest : public testing::TestWithParam<const Codec*> {
 protected:
  void SetUp() override {
    std::mt19937 engine(1);
    std::normal_distribution<float> normal;
    for (auto* values : {&keys_, &values_}) {
      for (int i = 0; i < kernels::kPageTokens * kHeadDim; ++i) values->push_back(normal(engine));
    }
    page_.resize(codec().PageBytes(kHeadDim));
    codec().Encode(Table(), page_.data(), kHeadDim, keys_.data(), values_.data());
  }
  const Codec& codec() const { return *GetParam(); }
  std::vector<float> keys_, values_;
  std::vector<std::byte> page_;
};

INSTANTIATE_TEST_SUITE_P(Codecs, EachCodecTest, testing::ValuesIn(Codecs().begin(), Codecs().end()),
                         [](const auto& test) { return std::string(test.param->name()); });

TEST_P(EachCodecTest, WhatIsEncodedIsLoadedAgain) {
  // Half a unit of the last place of an 8-bit float, as a share of it.
  const float share = codec().name() == "fp8_e4m3" ? 1.0f / 16 : codec().name() == "fp8_e5m2" ? 1.0f / 8 : 0.0f;
  std::vector<float> key(kHeadDim), value(kHeadDim);
  for (int slot = 0; slot < kernels::kPageTokens; ++slot) {
    codec().Load(Table(), page_.data(), kHeadDim, slot, key.data(), value.data());
    for (int d = 0; d < kHeadDim; ++d) {
      const size_t i = static_cast<size_t>(slot * kHeadDim + d);
      ASSERT_NEAR(key[static_cast<size_t>(d)], keys_[i],
                  5e-2f + share * std::abs(keys_[i]));  // 8 bits of a block whose largest is below 5, or, rotated, 20
      ASSERT_NEAR(value[static_cast<size_t>(d)], values_[i], 2e-2f + share * std::abs(values_[i]));
    }
  }
}

TEST_P(EachCodecTest, StoringTokenByTokenGivesTheSameBytes) {
  std::vector<std::byte> page(page_.size());
  for (int slot = kernels::kPageTokens; slot-- > 0;) {
    const size_t at = static_cast<size_t>(slot * kHeadDim);
    codec().Store(Table(), page.data(), kHeadDim, slot, &keys_[at], &values_[at]);
  }
  EXPECT_EQ(page, page_);
}

}  // namespace
}  // namespace kvasir::kvcache
