#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

namespace kvasir::base {
namespace {

namespace fs = std::filesystem;

class AtomicFileTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(folder_); }
  static std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
  static std::string Read(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  fs::path folder_ = fs::path(testing::TempDir()) / ("atomic_file_" + std::to_string(getpid()));
  fs::path path_ = folder_ / "deep" / "file";
};

TEST_F(AtomicFileTest, AppearsOnlyWhenItIsWhole) {
  auto file = AtomicFile::Create(path_.string());
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(file->Write(Bytes("one ")));
  ASSERT_TRUE(file->Write(Bytes("two")));
  EXPECT_FALSE(fs::exists(path_));
  ASSERT_TRUE(file->Commit());
  EXPECT_EQ(Read(path_), "one two");
}

TEST_F(AtomicFileTest, LeavesTheOldFileWhenItIsGivenUp) {
  for (const char* text : {"old", "new and longer"}) {
    auto file = AtomicFile::Create(path_.string());
    ASSERT_TRUE(file && file->Write(Bytes(text)));
    if (text[0] == 'o') {
      ASSERT_TRUE(file->Commit());
    }
  }
  EXPECT_EQ(Read(path_), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(path_.parent_path()), {}), 1);
}

TEST_F(AtomicFileTest, OverwritesWhatACrashLeft) {
  fs::create_directories(path_.parent_path());
  std::ofstream(path_.string() + ".partial") << "half a file of a process that is no more";
  auto file = AtomicFile::Create(path_.string());
  ASSERT_TRUE(file && file->Write(Bytes("x")) && file->Commit());
  EXPECT_EQ(Read(path_), "x");
}

TEST_F(AtomicFileTest, HasOneWriterAtATime) {
  auto first = AtomicFile::Create(path_.string());
  ASSERT_TRUE(first);
  const auto second = AtomicFile::Create(path_.string());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kResourceExhausted);
  ASSERT_TRUE(first->Write(Bytes("first")) && first->Commit());
  EXPECT_EQ(Read(path_), "first");
}

TEST_F(AtomicFileTest, SaysWhereItCannotWrite) {
  const auto file = AtomicFile::Create("/proc/none/file");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kIo);
  EXPECT_NE(file.error().message.find("/proc/none"), std::string::npos);
}

}  // namespace
}  // namespace kvasir::base
