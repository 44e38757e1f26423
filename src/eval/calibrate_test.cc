#include "kvasir/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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
  EXPECT_EQ(data->key_levels.size(), layers);
  EXPECT_EQ(data->value_levels.front().back().size(), 32u);
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

  // A budget is met, and more bits go where they are worth more.
  for (const double bits : {2.6, 3.0, 4.0, 5.0}) {
    const auto spec = WithBitsByLayer({.bits = bits}, &*data, 64);
    ASSERT_TRUE(spec.has_value()) << spec.error().message;
    EXPECT_EQ(spec->bits, 0);
    EXPECT_FALSE(spec->keys.empty());
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

}  // namespace
}  // namespace kvasir
