#include "kvasir/receipt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/calibration_file.h"
#include "engine/engine_impl.h"
#include "model/tiny_model_test_support.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

Receipt Sample() {
  return {.kv = ParseKvSpec("k=ch4,v=ch3,recent=256").value(),
          .context_tokens = 2048,
          .figures = {.mean_kld = 0.0033,
                      .mean_kld_interval = Interval{.low = 0.002, .high = 0.0044},
                      .perplexity_ratio = 1,
                      .perplexity_ratio_interval = {},
                      .same_top = 0.976,
                      .chunks = 8,
                      .bits_per_element = 4,
                      .bytes = 12'000'000,
                      .peak_bytes = 14'000'000,
                      .tokens_per_gib = 180'000,
                      .decode_tokens_per_second = 50.5,
                      .f16_decode_tokens_per_second = 70},
          .command = "kvasir tune -m 'a \"model\"' --text \xc3\xa4\x7f\n",
          .date = "2026-11-23T07:00:00Z",
          .version = "0.1.0",
          .isa = "vnni",
          .cpu = "A processor",
          .compute = "balanced",
          .threads = 2,
          .model_hash = "abc",
          .calibration = "def"};
}

// A model file of its own in a folder of its own, and a cache folder that is empty.
class ReceiptTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "models");
    fs::rename(model::TinyModel{}.Write("receipt"), folder_ / "models/tiny.gguf");
    setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
  }
  void TearDown() override { unsetenv("XDG_CACHE_HOME"); }

  [[nodiscard]] std::string model() const { return folder_ / "models/tiny.gguf"; }
  [[nodiscard]] std::string beside() const { return folder_ / "models/tiny.kvasir.toml"; }
  [[nodiscard]] std::string Spoil(const std::string& from, const std::string& to) const {
    std::stringstream text;
    text << std::ifstream(beside()).rdbuf();
    std::string changed = text.str();
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    std::ofstream(beside()) << changed;
    const ReceiptSearch search = FindReceipt(model());
    EXPECT_FALSE(search.file.has_value());
    std::ofstream(beside()) << text.str();
    return search.warnings.empty() ? "no warning" : search.warnings.front();
  }

  fs::path folder_;
};

TEST(ReceiptTextTest, IsReadBackAsItWas) {
  const auto read = ParseReceipt(ReceiptText(Sample()));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  const Receipt sample = Sample();
  EXPECT_EQ(read->kv, sample.kv);
  EXPECT_EQ(read->context_tokens, 2048);
  EXPECT_EQ(read->figures.mean_kld, 0.0033);
  ASSERT_TRUE(read->figures.mean_kld_interval.has_value());
  EXPECT_EQ(read->figures.mean_kld_interval->low, 0.002);
  EXPECT_EQ(read->figures.mean_kld_interval->high, 0.0044);
  EXPECT_EQ(read->figures.perplexity_ratio, 1);
  EXPECT_FALSE(read->figures.perplexity_ratio_interval.has_value());
  EXPECT_EQ(read->figures.same_top, 0.976);
  EXPECT_EQ(read->figures.chunks, 8);
  EXPECT_EQ(read->figures.bits_per_element, 4);
  EXPECT_EQ(read->figures.bytes, 12'000'000u);
  EXPECT_EQ(read->figures.peak_bytes, 14'000'000u);
  EXPECT_EQ(read->figures.tokens_per_gib, 180'000);
  EXPECT_EQ(read->figures.decode_tokens_per_second, 50.5);
  EXPECT_EQ(read->figures.f16_decode_tokens_per_second, 70);
  EXPECT_EQ(read->command, sample.command);
  EXPECT_EQ(read->date, sample.date);
  EXPECT_EQ(read->version, sample.version);
  EXPECT_EQ(read->isa, sample.isa);
  EXPECT_EQ(read->cpu, sample.cpu);
  EXPECT_EQ(read->compute, sample.compute);
  EXPECT_EQ(read->threads, 2);
  EXPECT_EQ(read->model_hash, "abc");
  EXPECT_EQ(read->calibration, "def");
  EXPECT_EQ(ReceiptText(*read), ReceiptText(sample));
}

TEST(ReceiptTextTest, ErrorsNameTheLineAndTheMember) {
  const auto error_with = [](const std::string& from, const std::string& to) {
    std::string text = ReceiptText(Sample());
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const auto read = ParseReceipt(text);
    return read ? "no error" : read.error().message;
  };
  EXPECT_THAT(ParseReceipt("").error().message, HasSubstr("schema must be a whole number"));
  EXPECT_THAT(error_with("schema = 1", "schema = 2"), HasSubstr("is of schema 2, but this version of Kvasir reads 1"));
  EXPECT_THAT(error_with("schema = 1", "schema = \"1\""), HasSubstr("line 3: schema must be a whole number"));
  EXPECT_THAT(error_with("[measured]", "[measured"), HasSubstr("line"));
  EXPECT_THAT(error_with("[measured]", "[other]"), HasSubstr("measured must be a table"));
  EXPECT_THAT(error_with("k=ch4", "k=ch9"), HasSubstr("'k=ch9' in the cache specification names no codec"));
  EXPECT_THAT(error_with("mean_kld = 0.0033", "mean_kld = \"low\""), HasSubstr("measured.mean_kld must be a number"));
  EXPECT_THAT(error_with("mean_kld_high = 0.0044\n", ""), HasSubstr("measured.mean_kld_high must be a number"));
  EXPECT_THAT(error_with("mean_kld = 0.0033", "mean_kld = nan"), HasSubstr("mean_kld must be a finite number"));
  EXPECT_THAT(error_with("chunks = 8", "chunks = -8"), HasSubstr("measured.chunks must be 0 or more"));
  EXPECT_THAT(error_with("threads = 2", "threads = 4294967298"), HasSubstr("made.threads must be a smaller number"));
  EXPECT_THAT(error_with("model_hash = \"abc\"\n", ""), HasSubstr("model_hash must be a text"));
}

TEST_F(ReceiptTest, IsWrittenBesideTheModelAndFound) {
  EXPECT_FALSE(FindReceipt(model()).file.has_value());
  EXPECT_THAT(FindReceipt(model()).warnings, IsEmpty());
  const auto path = WriteReceipt(model(), Sample());
  ASSERT_TRUE(path.has_value()) << path.error().message;
  EXPECT_EQ(*path, beside());
  const ReceiptSearch search = FindReceipt(model());
  ASSERT_TRUE(search.file.has_value());
  EXPECT_THAT(search.warnings, IsEmpty());
  EXPECT_EQ(search.file->path, beside());
  EXPECT_EQ(search.file->receipt.kv, Sample().kv);
  EXPECT_EQ(search.file->receipt.model_hash, ModelHash(files::GgufFile::Open(model()).value()));
  EXPECT_EQ(search.file->receipt.calibration, "");
  for (const auto& entry : fs::directory_iterator(folder_ / "models")) {
    EXPECT_THAT(entry.path().extension(), testing::AnyOf(".gguf", ".toml"));  // nothing half is left
  }
}

TEST_F(ReceiptTest, GoesToTheCacheFolderWhereTheModelsCannotBeWritten) {
  fs::create_directories(beside() + ".partial");  // also root cannot open that as a file
  const auto path = WriteReceipt(model(), Sample());
  ASSERT_TRUE(path.has_value()) << path.error().message;
  EXPECT_THAT(*path, AllOf(StartsWith((folder_ / "cache/kvasir/receipts/tiny-").string()), HasSubstr(".kvasir.toml")));
  EXPECT_EQ(FindReceipt(model()).file->path, *path);

  // Of two the later one counts.
  fs::remove_all(beside() + ".partial");
  Receipt later = Sample();
  later.date = "2026-11-24T07:00:00Z";
  later.kv = ParseKvSpec("q8").value();
  ASSERT_EQ(WriteReceipt(model(), later).value(), beside());
  EXPECT_EQ(FindReceipt(model()).file->path, beside());
  later.date = "2026-11-22T07:00:00Z";
  ASSERT_TRUE(WriteReceipt(model(), later).has_value());
  EXPECT_EQ(FindReceipt(model()).file->path, *path);

  EXPECT_EQ(WriteReceipt(model(), later, folder_ / "own.toml").value(), folder_ / "own.toml");
  EXPECT_TRUE(fs::exists(folder_ / "own.toml"));
}

TEST_F(ReceiptTest, WhatCannotBeUsedIsNamed) {
  ASSERT_TRUE(WriteReceipt(model(), Sample()).has_value());
  const std::string hash = ModelHash(files::GgufFile::Open(model()).value());
  EXPECT_THAT(Spoil(hash, "123"), HasSubstr("the receipt " + beside() + " belongs to another model; 'kvasir tune'"));
  EXPECT_THAT(Spoil("schema = 1", "schema = 7"), HasSubstr("is of schema 7, but this version of Kvasir reads 1"));
  EXPECT_THAT(Spoil("schema = 1", "schema = ="), HasSubstr("cannot be used, line 3"));
  EXPECT_THAT(Spoil("calibration_hash = \"\"", "calibration_hash = \"00\""),
              HasSubstr("was measured with a calibration that is no longer there"));
  EXPECT_TRUE(FindReceipt(model()).file.has_value());
  fs::remove(beside());
  fs::create_directory(beside());
  EXPECT_THAT(FindReceipt(model()).warnings, ElementsAre(HasSubstr("is no receipt")));
}

TEST_F(ReceiptTest, ACalibrationThatCameLaterMakesItStale) {
  ASSERT_TRUE(WriteReceipt(model(), Sample()).has_value());
  fs::create_directories(fs::path(CalibrationPath(model())).parent_path());
  std::ofstream(CalibrationPath(model())) << "anything";
  EXPECT_THAT(FindReceipt(model()).warnings, ElementsAre(HasSubstr("without the calibration that there is now")));
  ASSERT_TRUE(WriteReceipt(model(), Sample()).has_value());
  EXPECT_TRUE(FindReceipt(model()).file.has_value());
  std::ofstream(CalibrationPath(model())) << "another";
  EXPECT_THAT(FindReceipt(model()).warnings, ElementsAre(HasSubstr("was measured with another calibration")));
  // A cache that needs none does not care.
  Receipt open = Sample();
  open.kv = ParseKvSpec("q8").value();
  ASSERT_TRUE(WriteReceipt(model(), open).has_value());
  fs::remove(CalibrationPath(model()));
  EXPECT_TRUE(FindReceipt(model()).file.has_value());
}

TEST_F(ReceiptTest, OnlyModelFilesHaveOne) {
  EXPECT_FALSE(FindReceipt("no-such-model").file.has_value());
  EXPECT_FALSE(FindReceipt(folder_.string()).file.has_value());
  EXPECT_THAT(WriteReceipt(folder_.string(), Sample()).error().message, HasSubstr("is no model file"));
  EXPECT_EQ(WriteReceipt("no-such-model", Sample()).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace kvasir
