#include "kvcache/packed_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kvcache/half_codec.h"

namespace kvasir::kvcache {
namespace {

using kernels::kPageTokens;
using testing::HasSubstr;

constexpr int kHeadDim = 64;
constexpr int32_t kFirst = 640;  // of the page that the tests encode
const KvShape kShape = {.layers = 1, .kv_heads = 1, .head_dim = kHeadDim};

KeyRope Rope(bool neox) {
  KeyRope rope{.neox = neox};
  for (int i = 0; i < kHeadDim / 2; ++i) rope.frequencies.push_back(std::pow(10000.0, -2.0 * i / kHeadDim));
  return rope;
}

Result<std::shared_ptr<const PackedStore>> Make(const HalfCodec& codec, bool neox,
                                                kernels::PageFormat open = kernels::PageFormat::kF32) {
  const auto outliers = [](double share) { return static_cast<uint8_t>(share * kHeadDim * kPageTokens); };
  kernels::CompactFormat format{.key = codec.keys, .value = codec.values};
  format.key.outliers = outliers(codec.key_outliers);
  format.value.outliers = outliers(codec.value_outliers);
  return PackedStore::Create(kShape, open,
                             {.layers = {format},
                              .key_choices = {codec.key_range},
                              .value_choices = {codec.value_range},
                              .ropes = {Rope(neox)},
                              .rope_of_layer = {0},
                              .context_tokens = 1024,
                              .identity = std::string(codec.name)});
}

struct Page {
  std::vector<float> keys, values;  // [64][D]
};

Page RandomPage(uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Page page;
  std::vector<float> before(kPageTokens * kHeadDim), keys(before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    before[i] = normal(random) + (i % kHeadDim == 3 ? 5.0f : 0.0f);  // a channel that is always large
    page.values.push_back(normal(random));
  }
  page.keys = before;
  return page;
}

double RelativeError(const std::vector<float>& x, const std::vector<float>& y) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    error += std::pow(x[i] - y[i], 2);
    norm += std::pow(x[i], 2);
  }
  return std::sqrt(error / norm);
}

// Attention of one query over the keys and values of a page, in double.
std::vector<double> PlainAttention(const std::vector<float>& query, const std::vector<float>& keys,
                                   const std::vector<float>& values) {
  std::vector<double> p(kPageTokens);
  double sum = 0;
  for (size_t s = 0; s < p.size(); ++s) {
    double score = 0;
    for (size_t d = 0; d < kHeadDim; ++d) score += double{query[d]} * keys[s * kHeadDim + d];
    sum += p[s] = std::exp(score);
  }
  std::vector<double> out(kHeadDim, 0.0);
  for (size_t s = 0; s < p.size(); ++s) {
    for (size_t d = 0; d < kHeadDim; ++d) out[d] += p[s] / sum * values[s * kHeadDim + d];
  }
  return out;
}

class PackedStoreTest : public testing::TestWithParam<std::string_view> {
 protected:
  const HalfCodec& codec() const { return *FindHalfCodec(GetParam()).value(); }
};

std::vector<std::string_view> Names() {
  std::vector<std::string_view> names;
  for (const HalfCodec& codec : HalfCodecs()) names.push_back(codec.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Codecs, PackedStoreTest, testing::ValuesIn(Names()),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(PackedStoreTest, ReadsBackWhatItStoredAsCloselyAsItsBitsAllow) {
  for (const bool neox : {false, true}) {
    const auto store = Make(codec(), neox).value();
    const Page page = RandomPage(1);
    std::vector<std::byte> bytes(store->PageBytes(0));
    store->Encode(0, 0, kFirst, page.keys, page.values, bytes.data());
    Page back{std::vector<float>(page.keys.size()), std::vector<float>(page.values.size())};
    store->Decode(0, 0, kFirst, bytes.data(), back.keys, back.values);
    // A uniform quantiser of b bits over 6 standard deviations errs by 6 / 2^b / sqrt(12); twice that is generous.
    const double allowed = 2 * 6 / std::pow(2.0, codec().keys.bits) / std::sqrt(12.0);
    EXPECT_LT(RelativeError(page.values, back.values), allowed);
    EXPECT_LT(RelativeError(page.keys, back.keys), allowed);
  }
}

TEST_P(PackedStoreTest, KernelsSeeWhatDecodeSays) {
  for (const bool neox : {false, true}) {
    const auto store = Make(codec(), neox).value();
    const Page page = RandomPage(2);
    std::vector<std::byte> bytes(store->PageBytes(0) + 64);
    auto* data = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(bytes.data()) + 63) / 64 * 64);
    store->Encode(0, 0, kFirst, page.keys, page.values, data);
    Page back{std::vector<float>(page.keys.size()), std::vector<float>(page.values.size())};
    store->Decode(0, 0, kFirst, data, back.keys, back.values);

    std::mt19937 random(3);
    std::normal_distribution<float> normal(0, 0.3f);
    std::vector<float> query(kHeadDim), out(kHeadDim);
    for (float& each : query) each = normal(random);
    const kernels::PageRef ref = {.data = data, .first_position = kFirst, .count = kPageTokens, .compact = true};
    const int32_t position = kFirst + 100;
    float lse = 0;
    std::vector<std::byte> scratch(kernels::kAttendScratchBytes + 64);
    kernels::TableOf(kernels::ChosenIsa())
        .attend_compact(
            {.q = query.data(),
             .row_positions = &position,
             .rows = 1,
             .head_dim = kHeadDim,
             .pages = &ref,
             .num_pages = 1,
             .out = out.data(),
             .lse = &lse,
             .scratch = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64)},
            store->formats()[0]);
    const std::vector<double> expected = PlainAttention(query, back.keys, back.values);
    for (size_t d = 0; d < kHeadDim; ++d) EXPECT_NEAR(out[d], expected[d], 2e-3) << d << (neox ? " neox" : "");
  }
}

TEST_P(PackedStoreTest, PagesAreSmallerThanOpenOnes) {
  EXPECT_LT(Make(codec(), false).value()->PageBytes(0), kernels::PageBytes(kernels::PageFormat::kF16, kHeadDim));
}

TEST(PackedStoreErrorTest, APageLargerThanAnOpenOneIsRefused) {
  const auto store = Make(*FindHalfCodec("kivi4").value(), false, kernels::PageFormat::kQ8);
  EXPECT_TRUE(store.has_value());
  HalfCodec greedy = *FindHalfCodec("nuq4").value();
  greedy.key_outliers = greedy.value_outliers = 0.05;
  EXPECT_TRUE(Make(greedy, false, kernels::PageFormat::kQ8).has_value());
  greedy.keys = greedy.values = FindHalfCodec("q8").value()->keys;
  const auto refused = Make(greedy, false, kernels::PageFormat::kQ8);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("more than an open one"));
}

}  // namespace
}  // namespace kvasir::kvcache
