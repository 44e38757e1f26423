#include "base/mmap_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace kvasir::base {
namespace {

using testing::HasSubstr;

class MmapFileTest : public testing::Test {
 protected:
  MmapFileTest() : folder_(std::filesystem::temp_directory_path() / ("kvasir_mmap_test." + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~MmapFileTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) const {
    const auto path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }

  std::filesystem::path folder_;
};

TEST_F(MmapFileTest, ShowsTheBytesAndSurvivesMovesAndDeletion) {
  const std::string path = Write("a", "hello");
  auto opened = MmapFile::Open(path);
  ASSERT_TRUE(opened) << opened.error().message;
  std::filesystem::remove(path);
  MmapFile file = std::move(opened).value();
  const std::byte* where = file.data();
  MmapFile moved = std::move(file);
  EXPECT_EQ(moved.data(), where);
  EXPECT_EQ(moved.size(), 5u);
  EXPECT_EQ(moved.path(), path);
  EXPECT_EQ(std::memcmp(moved.data(), "hello", 5), 0);
  auto other = MmapFile::Open(Write("b", "other file"));
  ASSERT_TRUE(other);
  moved = std::move(other).value();
  EXPECT_EQ(moved.span().size(), 10u);
}

TEST_F(MmapFileTest, AdviceIsClampedToTheFile) {
  const auto file = MmapFile::Open(Write("a", std::string(10000, 'x')));
  ASSERT_TRUE(file);
  file->Advise(MmapFile::Access::kWillNeed);
  file->Advise(MmapFile::Access::kRandom, 5000);
  file->Advise(MmapFile::Access::kSequential, 9999, 1);
  file->Advise(MmapFile::Access::kNormal, 10000, 1);
  file->Advise(MmapFile::Access::kNormal, static_cast<size_t>(-1), 1);
  EXPECT_EQ(static_cast<char>(file->data()[9999]), 'x');
}

TEST_F(MmapFileTest, BytesThatAreDoneWithAreStillThere) {
  const std::string text(100'000, 'x');
  const auto file = MmapFile::Open(Write("f", text));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->data()[50'000], std::byte{'x'});
  file->Advise(MmapFile::Access::kDone);
  file->Advise(MmapFile::Access::kDone, 99'999, 5);
  EXPECT_EQ(std::memcmp(file->data(), text.data(), text.size()), 0);
}

TEST_F(MmapFileTest, RefusalsSayWhatIsWrong) {
  const auto missing = MmapFile::Open((folder_ / "none").string());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("there is no file"));

  const auto below_file = MmapFile::Open(Write("f", "x") + "/inside");
  ASSERT_FALSE(below_file);
  EXPECT_EQ(below_file.error().code, ErrorCode::kNotFound);

  const auto directory = MmapFile::Open(folder_.string());
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(directory.error().message, HasSubstr("is a directory"));

  const auto empty = MmapFile::Open(Write("e", ""));
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(empty.error().message, HasSubstr("is empty"));
}

TEST_F(MmapFileTest, ANamedPipeIsRefusedWithoutWaitingForAWriter) {
  const std::string path = (folder_ / "pipe").string();
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const auto pipe = MmapFile::Open(path);
  ASSERT_FALSE(pipe);
  EXPECT_THAT(pipe.error().message, HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace kvasir::base
