#include "cli/flags.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/model_flags.h"

namespace kvasir::cli {
namespace {

// The error message of parsing `arguments` (without the program's name), or "".
std::string ErrorOf(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

std::string CountError(const std::string& value) {
  CLI::App app;
  int count = 7;
  AddCount(app, "-r,--rows", "", count, 1, 100);
  const std::string error = ErrorOf(app, {"-r", value});
  EXPECT_EQ(error.empty(), count != 7);
  return error;
}

TEST(Flags, CountsAreReadStrictly) {
  EXPECT_EQ(CountError("1"), "");
  EXPECT_EQ(CountError("100"), "");
  for (const char* wrong : {"0", "101", "-1", "1.5", "1e2", "0x10", "12abc", " 3", "", "nan", "99999999999999999999"}) {
    EXPECT_EQ(CountError(wrong), fmt::format("--rows is '{}', but it must be a whole number from 1 to 100", wrong));
  }
}

TEST(Flags, ListsReplaceTheDefaultAndNameTheWholeValue) {
  CLI::App app;
  std::vector<int> depths = {5};
  AddCounts(app, "-d,--depth", "", depths, 0, 9000);
  EXPECT_EQ(ErrorOf(app, {"-d", "0,2048,8000"}), "");
  EXPECT_EQ(depths, (std::vector<int>{0, 2048, 8000}));
  for (const char* wrong : {"", ",", "1,", "1,,2", "1,x", "1,9001", "1;2"}) {
    EXPECT_EQ(
        ErrorOf(app, {"-d", wrong}),
        fmt::format("--depth is '{}', but it must be whole numbers from 0 to 9000 with commas between them", wrong));
  }
}

TEST(Flags, TextIsTakenAsItIs) {
  for (const char* text : {"", "-p", "--help", "[a,b]", "{}", "a b", "%%", "--", "\xff"}) {
    CLI::App app;
    std::string prompt = "unset";
    std::vector<std::string> stops;
    AddText(app, "-p,--prompt", "TEXT", "", prompt);
    AddTexts(app, "--stop", "TEXT", "", stops);
    EXPECT_EQ(ErrorOf(app, {"-p", text}), "") << text;
    EXPECT_EQ(prompt, text);
    if (*text == '\0') continue;
    EXPECT_EQ(ErrorOf(app, {"--stop", text, "--stop", "x"}), "") << text;
    EXPECT_EQ(stops, (std::vector<std::string>{text, "x"}));
  }
}

TEST(Flags, TheLastUseCounts) {
  CLI::App app;
  std::string prompt;
  AddText(app, "-p,--prompt", "TEXT", "", prompt);
  EXPECT_EQ(ErrorOf(app, {"-p", "a", "--prompt=b"}), "");
  EXPECT_EQ(prompt, "b");
}

TEST(Flags, AStopTextMustNotBeEmpty) {
  CLI::App app;
  std::vector<std::string> stops;
  AddTexts(app, "--stop", "TEXT", "", stops);
  EXPECT_EQ(ErrorOf(app, {"--stop", ""}), "--stop is empty, but it must be some text");
}

TEST(Flags, ChoicesAreListed) {
  CLI::App app;
  EngineOptions options;
  AddPrecisionFlags(app, options);
  EXPECT_EQ(ErrorOf(app, {"--compute", "exact", "--kv", "f32"}), "");
  EXPECT_EQ(options.compute, ComputeMode::kExact);
  EXPECT_EQ(options.kv.open, "f32");
  EXPECT_EQ(ErrorOf(app, {"--kv", "q8"}), "");
  EXPECT_EQ(options.kv.open, "q8");
  EXPECT_EQ(ErrorOf(app, {"--kv", "k=q8,v=nuq4"}), "");
  EXPECT_EQ(options.kv.values, "nuq4");
  EXPECT_THAT(ErrorOf(app, {"--kv", "k=q8,v=f16"}),
              testing::StartsWith("--kv is 'k=q8,v=f16': 'v=f16' in the cache specification names no codec"));
  EXPECT_EQ(ErrorOf(app, {"--compute", "best"}),
            "--compute is 'best', but it must be one of fast, balanced, precise, exact");
}

// Whichever of the two comes first.
TEST(Flags, ABudgetIsThatOfTheEviction) {
  CLI::App app;
  EngineOptions options;
  AddPrecisionFlags(app, options);
  EXPECT_EQ(ErrorOf(app, {"--kv", "q8,evict=snapkv", "--kv-budget", "4096"}), "");
  EXPECT_EQ(KvSpecText(options.kv), "q8,evict=snapkv,budget=4096");
  EXPECT_EQ(ErrorOf(app, {"--kv-budget", "64M", "--kv", "q8,evict=snapkv,budget=50%"}), "");
  EXPECT_EQ(KvSpecText(options.kv), "q8,evict=snapkv,budget=64M");
  EXPECT_THAT(ErrorOf(app, {"--kv-budget", "64M", "--kv", "q8"}),
              testing::AllOf(testing::StartsWith("--kv is 'q8': "), testing::EndsWith("write evict=snapkv")));
  EXPECT_THAT(ErrorOf(app, {"--kv-budget", "lots", "--kv", "q8,evict=snapkv"}),
              testing::StartsWith("--kv-budget is 'lots', but it must be 192 to"));
  EXPECT_THAT(ErrorOf(app, {"--kv-budget", "4096"}), testing::HasSubstr("--kv"));

  CLI::App several;
  std::vector<KvSpec> caches;
  AddCachesFlag(several, "", caches);
  EXPECT_EQ(ErrorOf(several, {"--kv", "q8,evict=snapkv", "--kv", "f16,evict=tova", "--kv-budget", "25%"}), "");
  ASSERT_EQ(caches.size(), 2u);
  EXPECT_EQ(KvSpecText(caches[1]), "f16,evict=tova,budget=25%");
}

TEST(Flags, TheEnvironmentSaysHowManyThreads) {
  ASSERT_EQ(setenv("KVASIR_THREADS", "3", 1), 0);
  int threads = 0;
  CLI::App app;
  AddThreadsFlag(app, threads);
  EXPECT_EQ(ErrorOf(app, {}), "");
  EXPECT_EQ(threads, 3);
  EXPECT_EQ(ErrorOf(app, {"-t", "2"}), "");
  EXPECT_EQ(threads, 2);
  ASSERT_EQ(setenv("KVASIR_THREADS", "many", 1), 0);
  EXPECT_THAT(ErrorOf(app, {}), testing::StartsWith("--threads is 'many', but"));
  ASSERT_EQ(unsetenv("KVASIR_THREADS"), 0);
}

TEST(Flags, RealNumbersAreFinite) {
  EXPECT_EQ(ParseReal("0.5").value(), 0.5);
  EXPECT_EQ(ParseReal("-1e3").value(), -1000);
  for (const char* wrong : {"", "x", "1.5x", "nan", "inf", "1,5", "1e999"}) EXPECT_FALSE(ParseReal(wrong)) << wrong;
  EXPECT_LT(ParseReal("-inf", true).value(), -1e300);
}

TEST(Flags, MessagesNameTheLongFlag) {
  EXPECT_EQ(FlagName("-t,--threads"), "--threads");
  EXPECT_EQ(FlagName("--kv"), "--kv");
  EXPECT_EQ(FlagName("model"), "MODEL");
}

}  // namespace
}  // namespace kvasir::cli
