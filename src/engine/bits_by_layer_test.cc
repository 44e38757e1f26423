// Bits by layer, in the bytes of the pages that come of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/kv_plan.h"

namespace kvasir {
namespace {

using testing::HasSubstr;

model::ModelConfig Config(int layers, int head_dim) {
  model::ModelConfig config{.layers = layers, .heads = 2, .kv_heads = 1, .head_dim = head_dim};
  config.ropes = {{.frequencies = std::vector<double>(static_cast<size_t>(head_dim / 2), 0.1)}};
  config.rope_of_layer.assign(static_cast<size_t>(layers), 0);
  return config;
}

// Losses that fall from layer to layer, those of keys three times those of values.
CalibrationData Losses(int layers) {
  CalibrationData data;
  data.keys.resize(static_cast<size_t>(layers));
  for (int layer = 0; layer < layers; ++layer) {
    data.value_losses.push_back(1.0F / static_cast<float>(1 + layer * layer));
    data.key_losses.push_back(3 * data.value_losses.back());
  }
  return data;
}

TEST(BitsByLayerTest, ABudgetIsNeverExceededAndNearlySpent) {
  constexpr int kLayers = 9;
  for (const int head_dim : {16, 48, 64, 80, 96, 112, 128, 256, 512}) {
    const model::ModelConfig config = Config(kLayers, head_dim);
    const kvcache::KvShape shape{config.layers, config.kv_heads, config.head_dim, {}};
    const CalibrationData data = Losses(kLayers);
    for (const double bits : {3.3, 3.5, 4.0, 4.7, 5.2}) {
      const auto options = KvOptionsOf({.open = "f16", .bits = bits}, config, shape, 1024, &data);
      ASSERT_TRUE(options.has_value()) << head_dim << " " << bits << " " << options.error().message;
      const double taken = kvcache::BitsPerElement(shape, options->layout());
      EXPECT_LE(taken, bits) << head_dim;
      // Less than the step of one half from one codec to the next is left: two bits in small heads, whose lines are
      // padded, else little more than one.
      EXPECT_GT(taken, bits - 2.5 / (2 * kLayers)) << head_dim;
    }
  }
}

TEST(BitsByLayerTest, BitsGoWhereTheyAreWorthMore) {
  const CalibrationData data = Losses(6);
  const KvSpec spec = WithBitsByLayer({.bits = 3.5}, &data, 64).value();
  const auto options = KvOptionsOf({.open = "f16", .bits = 3.5}, Config(6, 64), {6, 1, 64, {}}, 1024, &data).value();
  const auto formats = options.compact->formats();
  for (size_t layer = 1; layer < formats.size(); ++layer) {
    EXPECT_LE(formats[layer].key.bits, formats[layer - 1].key.bits) << layer;
    EXPECT_LE(formats[layer].value.bits, formats[layer - 1].value.bits) << layer;
  }
  for (const auto& format : formats) EXPECT_GE(format.key.bits, format.value.bits);
  EXPECT_GT(formats.front().key.bits, formats.back().key.bits);
  EXPECT_EQ(spec.bits, 0);
  EXPECT_EQ(KvSpecText(ParseKvSpec(KvSpecText(spec)).value()), KvSpecText(spec));
}

TEST(BitsByLayerTest, TooFewBitsAndAMissingCalibrationAreNamed) {
  const CalibrationData data = Losses(2);
  EXPECT_THAT(WithBitsByLayer({.bits = 1}, &data, 64).error().message, HasSubstr("'auto:1bits' cannot be met"));
  EXPECT_THAT(WithBitsByLayer({.bits = 3}, nullptr, 64).error().message, HasSubstr("'kvasir calibrate'"));
}

}  // namespace
}  // namespace kvasir
