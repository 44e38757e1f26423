#include "server/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "server/metrics.h"
#include "server/setting_values.h"

namespace kvasir::server {
namespace {

using ::testing::HasSubstr;

const char* NoEnvironment(const char* /*name*/) {
  return nullptr;
}

const char* OneVariable(const char* name) {
  return std::string_view(name) == "KVASIR_SERVE_MAX_QUEUE" ? "8" : nullptr;
}

TEST(Settings, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const Setting& setting : Settings()) EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
}

// Whatever a setting says of itself can be said to it.
TEST(Settings, TakeWhatTheyGive) {
  const ServeSettings defaults;
  for (const Setting& setting : Settings()) {
    if (std::string_view(setting.name) == "model") continue;  // which has no default
    ServeSettings settings;
    for (const std::string& value : setting.get(defaults)) {
      const Status status = setting.set(settings, value);
      EXPECT_TRUE(status.has_value()) << setting.name << " " << value;
    }
    EXPECT_EQ(setting.get(settings), setting.get(defaults)) << setting.name;
  }
}

const Setting& SettingNamed(std::string_view name) {
  const auto all = Settings();
  return *std::find_if(all.begin(), all.end(), [&](const Setting& setting) { return name == setting.name; });
}

// What the scheduler would refuse is refused where it is said.
TEST(Settings, HaveTheSchedulersRanges) {
  for (const char* name : {"max-queue", "max-running"}) {
    ServeSettings settings;
    EXPECT_FALSE(SettingNamed(name).set(settings, "0").has_value()) << name;
    EXPECT_TRUE(SettingNamed(name).set(settings, "1").has_value()) << name;
  }
}

TEST(GatherSettings, FlagsWinOverTheEnvironment) {
  const std::vector<GivenSetting> flags = {{"max-queue", "9"}, {"cors-origin", "a"}, {"cors-origin", "b"}};
  EXPECT_EQ(GatherSettings("", OneVariable, flags)->scheduler.max_waiting, 9);
  EXPECT_EQ(GatherSettings("", OneVariable, {})->scheduler.max_waiting, 8);
  EXPECT_EQ(GatherSettings("", NoEnvironment, {})->scheduler.max_waiting, 512);
  EXPECT_THAT(GatherSettings("", NoEnvironment, flags)->cors_origins, testing::ElementsAre("a", "b"));
}

TEST(GatherSettings, NamesWhatIsWrong) {
  const std::vector<GivenSetting> flags = {{"port", "70000"}};
  EXPECT_EQ(GatherSettings("", NoEnvironment, flags).error().message,
            "--port is '70000', but it must be a whole number from 0 to 65535");
  EXPECT_THAT(GatherSettings("/nowhere/kvasir.toml", NoEnvironment, {}).error().message,
              HasSubstr("/nowhere/kvasir.toml"));
}

TEST(GatherSettings, ABudgetIsThatOfTheEviction) {
  const auto cache = [](std::vector<GivenSetting> flags) -> std::string {
    const auto settings = GatherSettings("", NoEnvironment, flags);
    return settings ? KvSpecText(settings->engine.kv) : settings.error().message;
  };
  EXPECT_EQ(cache({}), "auto");
  EXPECT_EQ(cache({{"kv", "q8,evict=tova,budget=50%"}}), "q8,evict=tova,budget=50%");
  EXPECT_EQ(cache({{"kv", "q8,evict=tova,budget=50%"}, {"kv-budget", "4096"}}), "q8,evict=tova,budget=4096");
  EXPECT_EQ(cache({{"kv-budget", "64M"}, {"kv", "q8,evict=tova"}}), "q8,evict=tova,budget=64M");
  EXPECT_THAT(cache({{"kv", "q8,evict=tova"}}), HasSubstr("evicts but has no budget"));
  EXPECT_THAT(cache({{"kv-budget", "64M"}}),
              testing::AllOf(HasSubstr("kv-budget is '64M', but kv is 'auto'"), HasSubstr("write evict=snapkv")));
  EXPECT_THAT(cache({{"kv-budget", "lots"}}), HasSubstr("--kv-budget is 'lots', but it must be 192 to"));
}

TEST(ParseBytes, KnowsUnitsAndBounds) {
  for (const auto& [text, bytes] : std::initializer_list<std::pair<const char*, size_t>>{
           {"0", 0}, {"1", 1}, {"512K", 512 << 10}, {"64M", 64 << 20}, {"4G", size_t{4} << 30}, {"1000", 1000}}) {
    EXPECT_EQ(ParseBytes(text), bytes);
    EXPECT_EQ(FormatBytes(bytes), text);
  }
  for (const char* text : {"", "G", "-1", "1.5G", "4GB", "1T", "99999999999999999999", "99999999G"}) {
    EXPECT_FALSE(ParseBytes(text).has_value()) << text;
  }
}

TEST(Histogram, CountsUpToEachBound) {
  const double bounds[] = {1, 2};
  Histogram histogram(bounds);
  for (const double value : {0.5, 1.0, 1.5, 9.0}) histogram.Observe(value);
  std::string text;
  histogram.Write(text, "h", "a=\"b\"");
  EXPECT_EQ(text,
            "h_bucket{a=\"b\",le=\"1\"} 2\nh_bucket{a=\"b\",le=\"2\"} 3\nh_bucket{a=\"b\",le=\"+Inf\"} 4\n"
            "h_sum{a=\"b\"} 12\nh_count{a=\"b\"} 4\n");
}

TEST(Metrics, EscapeWhatAModelIsCalled) {
  const SchedulerStats stats;
  const std::string text = Metrics().Text(&stats, "a\"b\nc", 0, /*aliases=*/true, /*ready=*/true);
  EXPECT_THAT(text, HasSubstr("model_name=\"a\\\"b c\""));
  EXPECT_THAT(Metrics().Text(nullptr, "", 0, false, false), HasSubstr("kvasir_ready 0"));
}

TEST(Metrics, ShowTheTokensOfStepsUnderBothNames) {
  SchedulerStats stats;
  stats.step_tokens.steps = {2, 1};
  stats.step_tokens.tokens = 4;
  const std::string text = Metrics().Text(&stats, "m", 0, /*aliases=*/true, /*ready=*/true);
  EXPECT_THAT(text, HasSubstr("kvasir_step_tokens_bucket{model_name=\"m\",le=\"2\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("kvasir_step_tokens_sum{model_name=\"m\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("vllm:iteration_tokens_total_count{model_name=\"m\",engine=\"0\"} 3\n"));
}

TEST(AppendModelMetrics, DescribesTheCacheAsVllmDoes) {
  const ModelFacts facts{.weight_bytes = 10, .block_tokens = 64, .cache_blocks = 7, .kv = "f16", .prefix_cache = true};
  std::string text;
  AppendModelMetrics(text, facts, "m", /*aliases=*/true);
  EXPECT_THAT(text, HasSubstr("kvasir_weights_bytes{model_name=\"m\"} 10\n"));
  EXPECT_THAT(text,
              HasSubstr("vllm:cache_config_info{model_name=\"m\",engine=\"0\",block_size=\"64\",num_gpu_blocks=\"7\","
                        "cache_dtype=\"f16\",enable_prefix_caching=\"True\"} 1\n"));
}

}  // namespace
}  // namespace kvasir::server
