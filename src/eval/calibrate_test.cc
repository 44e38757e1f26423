#include "kvasir/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "engine/calibration_file.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"
#include "kvasir/engine.h"
#include "model/tiny_model_test_support.h"

namespace kvasir {
namespace {

using testing::HasSubstr;

CalibrateOptions Options(bool layers) {
  static const std::string path = model::TinyModel{}.Write("calibrate");
  CalibrateOptions options{.engine = {.model = path, .threads = 2},
                           .context = 1024,
                           .chunks = 1,
                           .layers = layers,
                           .output = testing::TempDir() + "calibration.gguf"};
  for (int i = 0; i < 6000; ++i) options.text += static_cast<char>('a' + i * i % 26);
  return options;
}

TEST(CalibrateTest, WritesWhatItReadsBack) {
  int last = 0, total = 0;
  CalibrateOptions options = Options(true);
  options.on_progress = [&](int done, int all) {
    EXPECT_EQ(done, ++last);
    total = all;
  };
  const auto report = Calibrate(options);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->tokens, 1024);
  EXPECT_EQ(report->bytes, std::filesystem::file_size(options.output));
  EXPECT_EQ(last, total);

  const auto engine = Engine::Load({.model = options.engine.model, .threads = 1}).value();
  const Engine::Impl& impl = engine->impl();
  const auto data = ReadCalibration(report->path, ModelHash(impl.gguf), impl.kv_shape);
  ASSERT_TRUE(data.has_value()) << data.error().message;
  const auto layers = static_cast<size_t>(impl.kv_shape.layers);
  const auto d = static_cast<size_t>(impl.kv_shape.head_dim);
  EXPECT_EQ(data->keys.size(), layers * static_cast<size_t>(impl.kv_shape.kv_heads));
  EXPECT_EQ(data->keys.front().feedback.size(), d * d);
  for (const LevelSets* levels : {&data->key_levels, &data->late_key_levels, &data->value_levels}) {
    EXPECT_EQ(levels->measured.size(), layers);
    EXPECT_EQ(levels->even.back().back().size(), 32u);
  }
  ASSERT_EQ(data->key_ranges.size(), data->keys.size());
  ASSERT_EQ(data->late_key_ranges.size(), data->keys.size());
  EXPECT_LT(data->key_ranges.back().least.front(), data->key_ranges.back().low.front());
  EXPECT_NE(data->key_ranges.back().low, data->late_key_ranges.back().low);
  ASSERT_EQ(data->key_losses.size(), layers);
  for (const float loss : data->key_losses) EXPECT_GE(loss, 0);
  // Some feature must feel the others' errors, or nothing was learnt; in the local layer, whose window is shorter than
  // a page, nothing can be.
  EXPECT_TRUE(std::ranges::any_of(data->keys, [](const kvcache::HalfCalibration& keys) {
    return std::ranges::any_of(keys.feedback, [](float f) { return f != 0 && f != 1; });
  }));

  const auto other = ReadCalibration(report->path, std::string(32, '0'), impl.kv_shape);
  ASSERT_FALSE(other.has_value());
  EXPECT_THAT(other.error().message, HasSubstr("it belongs to another model"));

  // A budget is met by the bytes of the pages, and more bits never lose more.
  const auto factor = [](const kernels::CompactHalf& half, bool keys) {
    if (half.bits == 2) return keys && half.outliers == 0 ? 1.4 : 1.0;
    return half.bits == 3 ? 1.0 / 7 : half.bits == 4 ? 1.0 / 32 : 1.0 / 128;
  };
  double least = HUGE_VAL;
  for (const double bits : {3.6, 4.0, 4.5, 5.0}) {
    const auto options = KvOptionsOf({.open = "f16", .bits = bits}, impl.model->config(), impl.kv_shape, 1024, &*data);
    ASSERT_TRUE(options.has_value()) << options.error().message;
    EXPECT_LE(kvcache::BitsPerElement(impl.kv_shape, options->layout()), bits);
    double loss = 0;
    for (size_t layer = 0; layer < layers; ++layer) {
      const kernels::CompactFormat& format = options->compact->formats()[layer];
      loss +=
          data->key_losses[layer] * factor(format.key, true) + data->value_losses[layer] * factor(format.value, false);
    }
    EXPECT_LE(loss, least * (1 + 1e-9)) << bits;
    least = loss;
  }
  EXPECT_THAT(WithBitsByLayer({.bits = 1}, &*data, 64).error().message, HasSubstr("'auto:1bits' cannot be met"));
}

TEST(CalibrateTest, WithoutLayersBitsByLayerAreRefused) {
  const auto report = Calibrate(Options(false));
  ASSERT_TRUE(report.has_value()) << report.error().message;
  const auto engine = Engine::Load({.model = Options(false).engine.model, .threads = 1}).value();
  const auto data = ReadCalibration(report->path, ModelHash(engine->impl().gguf), engine->impl().kv_shape);
  ASSERT_TRUE(data.has_value()) << data.error().message;
  EXPECT_TRUE(data->key_losses.empty());
  EXPECT_THAT(WithBitsByLayer({.bits = 3}, &*data, 64).error().message, HasSubstr("with --layers"));
}

// What each change of a codec does to what the cache is told.
TEST(CalibrateTest, ChangesReachTheCache) {
  const auto report = Calibrate(Options(false));
  ASSERT_TRUE(report.has_value()) << report.error().message;
  const auto engine = Engine::Load({.model = Options(false).engine.model, .threads = 1}).value();
  const Engine::Impl& impl = engine->impl();
  const std::string hash = ModelHash(impl.gguf);
  CalibrationData data = ReadCalibration(report->path, hash, impl.kv_shape).value();
  const auto options = [&](std::string_view text, const CalibrationData* calibration) {
    const KvSpec spec = ResolveKvSpec(ParseKvSpec(text).value(), ComputeMode::kExact);
    return KvOptionsOf(spec, impl.model->config(), impl.kv_shape, 1024, calibration);
  };
  const auto keys = [&](std::string_view text) { return options(text, &data).value().compact->formats()[6].key; };
  const auto levels = [&](std::string_view text) {
    const kernels::CompactHalf half = keys(text);
    return std::vector<int8_t>(half.level, half.level + 8);
  };
  const auto of_bits = [](const std::vector<FittedLevels>& all) { return all[6][3 - kFewestFittedBits]; };
  EXPECT_EQ(levels("nuq3"), of_bits(data.key_levels.measured));
  EXPECT_EQ(levels("nuq3,weights=even"), of_bits(data.key_levels.even));
  EXPECT_EQ(levels("nuq3,rope=after"), of_bits(data.late_key_levels.measured));
  EXPECT_EQ(levels("nuq3,rope=after,weights=even"), of_bits(data.late_key_levels.even));
  EXPECT_THAT(levels("nuq3,levels=even"), testing::ElementsAre(-126, -90, -54, -18, 18, 54, 90, 126));
  EXPECT_TRUE(keys("nuq3").before_rope);
  EXPECT_FALSE(keys("nuq3,rope=after").before_rope);
  EXPECT_TRUE(keys("kivi4,rope=before").before_rope);

  // What a page becomes: with ranges of a page, or of the text, or with its spread kept.
  const auto d = static_cast<size_t>(impl.kv_shape.head_dim);
  std::vector<float> x(64 * d), back(x.size()), values(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = 100 + static_cast<float>(i * i % 97);  // far from all text
  const auto stored = [&](std::string_view text) {
    const auto store = options(text, &data).value().compact;
    std::vector<std::byte> page(store->PageBytes(6));
    store->Encode(6, 1, 64, x, x, page.data());
    store->Decode(6, 1, 64, page.data(), back, values);
    return back;
  };
  EXPECT_NEAR(stored("nuq3,rope=after")[5], x[5], 20);
  EXPECT_LT(stored("nuq3,rope=after,outliers=0,ranges=static")[5], 50);  // at the end of its range
  EXPECT_LT(stored("nuq3,outliers=0,ranges=static")[5], 50);
  EXPECT_NE(stored("nuq3,qnorm=on"), stored("nuq3"));
  EXPECT_EQ(stored("nuq3,qnorm=off,ranges=page"), stored("nuq3"));
  EXPECT_EQ(stored("nuq2,qnorm=on"), stored("nuq2"));
  EXPECT_NE(stored("nuq2,qnorm=off"), stored("nuq2"));

  // A file that was made before there were such comparisons does all else.
  data.key_levels.even = data.value_levels.even = data.late_key_levels.measured = data.late_key_levels.even = {};
  data.key_ranges = data.late_key_ranges = {};
  ASSERT_TRUE(WriteCalibration(report->path, hash, impl.kv_shape, data).has_value());
  const CalibrationData old = ReadCalibration(report->path, hash, impl.kv_shape).value();
  EXPECT_TRUE(options("nuq3,levels=even,qnorm=on", &old).has_value());
  for (const char* text : {"nuq3,weights=even", "nuq3,rope=after", "ch3,ranges=static"}) {
    EXPECT_THAT(options(text, &old).error().message, HasSubstr("needs a newer calibration: run 'kvasir calibrate'"));
  }
  EXPECT_TRUE(options("nuq3,rope=after", nullptr).has_value());
  EXPECT_THAT(options("nuq3,ranges=static", nullptr).error().message, HasSubstr("needs a calibration: run"));
}

}  // namespace
}  // namespace kvasir
