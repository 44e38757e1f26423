#include "model/packed_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "model/model.h"
#include "model/tiny_model_test_support.h"

namespace kvasir::model {
namespace {

namespace fs = std::filesystem;

// A content of several chunks with a last one that is not whole.
class PackedCacheTest : public testing::Test {
 protected:
  static constexpr size_t kBytes = (size_t{9} << 20) + 64;

  void TearDown() override { fs::remove_all(folder_); }
  static files::GgufFile Model(const std::string& name) {
    return std::move(files::GgufFile::Open(TinyModel{}.Write(name))).value();
  }
  ops::WeightArena Filled() {
    ops::WeightArena arena = std::move(ops::WeightArena::Create(kBytes)).value();
    const std::span<std::byte> bytes = arena.Take(kBytes);
    for (size_t i = 0; i < kBytes; ++i) bytes[i] = static_cast<std::byte>(i * 2654435761u >> 13);
    return arena;
  }
  bool Reads(const PackedCache& cache) {
    ops::WeightArena read = std::move(ops::WeightArena::Create(kBytes)).value();
    if (!cache.Read(read, pool_, {})) return false;
    EXPECT_TRUE(std::ranges::equal(read.memory().first(kBytes), Filled().used()));
    return true;
  }
  void Flip(size_t offset) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const auto byte = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(byte);
  }

  base::ThreadPool pool_{2};
  fs::path folder_ = fs::path(testing::TempDir()) / ("packed_cache_" + std::to_string(getpid()));
  std::string path_ = (folder_ / "model.packed").string();
};

TEST_F(PackedCacheTest, ReadsWhatWasWritten) {
  const files::GgufFile gguf = Model("packed");
  const PackedCache cache(path_, gguf);
  EXPECT_FALSE(Reads(cache));  // nothing there yet
  ops::WeightArena arena = Filled();
  const Status written = cache.Write(arena, pool_);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_TRUE(Reads(cache));
}

TEST_F(PackedCacheTest, IgnoresAFileThatIsDamagedAnywhere) {
  const files::GgufFile gguf = Model("packed");
  const PackedCache cache(path_, gguf);
  ops::WeightArena arena = Filled();
  for (const size_t offset :
       {size_t{0}, size_t{9}, size_t{17}, size_t{33}, size_t{41}, size_t{50}, size_t{100}, kBytes}) {
    ASSERT_TRUE(cache.Write(arena, pool_));
    Flip(offset);
    EXPECT_FALSE(Reads(cache)) << offset;
  }
  for (const size_t size : {size_t{0}, size_t{20}, size_t{60}, size_t{1000}, kBytes}) {
    ASSERT_TRUE(cache.Write(arena, pool_));
    fs::resize_file(path_, size);
    EXPECT_FALSE(Reads(cache)) << size;
  }
  ASSERT_TRUE(cache.Write(arena, pool_));  // and it is written anew
  EXPECT_TRUE(Reads(cache));
}

TEST_F(PackedCacheTest, IgnoresTheFileOfAnotherModel) {
  const files::GgufFile gguf = Model("packed");
  ops::WeightArena arena = Filled();
  ASSERT_TRUE(PackedCache(path_, gguf).Write(arena, pool_));
  const fs::path other = gguf.path();
  fs::last_write_time(other, fs::last_write_time(other) + std::chrono::seconds(1));
  EXPECT_FALSE(Reads(PackedCache(path_, gguf)));
}

TEST_F(PackedCacheTest, GivesTheSameModel) {
  const files::GgufFile gguf = Model("packed");
  const auto weight_bytes = [&](const std::string& cache) {
    const auto model = LoadModel(gguf, {.pool = &pool_, .max_rows = 4, .packed_cache = cache});
    EXPECT_TRUE(model.has_value());
    return (*model)->weight_bytes();
  };
  const size_t plain = weight_bytes("");
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_EQ(weight_bytes(path_), plain);
  ASSERT_TRUE(fs::exists(path_));
  const auto time = fs::last_write_time(path_);
  EXPECT_EQ(weight_bytes(path_), plain);
  EXPECT_EQ(fs::last_write_time(path_), time);  // read, not written again
}

}  // namespace
}  // namespace kvasir::model
