#include "files/gguf_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "files/gguf_bytes_test.h"
#include "files/temporary_folder_test.h"

namespace kvasir::files {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uint32_t kF32 = 0;

class GgufFileTest : public TemporaryFolderTest {
 protected:
  // Part `number` (from 0) of `count`, with one tensor.
  std::string WritePart(int number, int count, std::string_view tensor, int says_number, int says_count,
                        int32_t tensors = 3) const {
    GgufBytes file(1, number == 0 ? 4 : 2);
    file.Pair("split.no", static_cast<uint16_t>(says_number)).Pair("split.count", static_cast<uint16_t>(says_count));
    if (number == 0) {
      file.Pair("split.tensors.count", tensors).Key("general.architecture", GgufType::kString).Text("llama");
    }
    file.Tensor(tensor, {4}, kF32, 0).Pad(32).Put(static_cast<float>(number)).Fill(12);
    return WriteFile(fmt::format("m-{:05}-of-{:05}.gguf", number + 1, count), file.text());
  }

  void WriteSplit() const {
    for (int i = 0; i < 3; ++i) WritePart(i, 3, fmt::format("t{}", i), i, 3);
  }

  static std::string ErrorOf(const std::string& path) {
    const auto file = GgufFile::Open(path);
    return file ? "no error" : file.error().message;
  }
};

TEST_F(GgufFileTest, OpensOneFile) {
  const std::string path =
      WriteFile("m.gguf", GgufBytes(1, 1).Pair("k", uint32_t{5}).Tensor("w", {2, 3}, kF32, 0).Pad(32).Fill(24).text());
  auto opened = GgufFile::Open(path);
  ASSERT_TRUE(opened) << opened.error().message;
  const tensor::TensorView before = *opened->FindTensor("w");
  const GgufFile file = std::move(*opened);  // views must survive the move
  EXPECT_EQ(file.path(), path);
  EXPECT_EQ(file.metadata().GetU32("k").value(), 5u);
  ASSERT_NE(file.FindTensor("w"), nullptr);
  EXPECT_EQ(file.FindTensor("w")->data, before.data);
  EXPECT_EQ(file.GetTensor("w")->rows(), 3);
  EXPECT_EQ(file.GetTensor("v").error().message, path + ": there is no tensor v");
  EXPECT_EQ(file.total_bytes(), std::filesystem::file_size(path));
  file.Advise(base::MmapFile::Access::kWillNeed);
}

TEST_F(GgufFileTest, ErrorsBeginWithThePath) {
  const std::string path = WriteFile("m.gguf", GgufBytes(0, 5).text());
  EXPECT_THAT(ErrorOf(path), AllOf(testing::StartsWith(path + ": "), HasSubstr("5 metadata keys")));
  EXPECT_THAT(ErrorOf(Path("none.gguf")), HasSubstr("there is no file"));
  EXPECT_THAT(ErrorOf(folder_.string()), HasSubstr("is a directory"));
  EXPECT_THAT(ErrorOf(WriteFile("empty.gguf", "")), HasSubstr("is empty"));
}

TEST_F(GgufFileTest, AnyPartOfASplitModelOpensAll) {
  WriteSplit();
  for (const char* name : {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"}) {
    const auto file = GgufFile::Open(Path(name));
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->path(), Path("m-00001-of-00003.gguf"));
    EXPECT_EQ(file->parts().size(), 3u);
    EXPECT_EQ(file->metadata().GetString("general.architecture").value(), "llama");
    ASSERT_EQ(file->tensors().size(), 3u);
    EXPECT_EQ(*reinterpret_cast<const float*>(file->FindTensor("t2")->data), 2.0f);
  }
}

TEST_F(GgufFileTest, AMissingOrRenamedPartIsNamed) {
  WriteSplit();
  std::filesystem::remove(Path("m-00002-of-00003.gguf"));
  EXPECT_THAT(ErrorOf(Path("m-00003-of-00003.gguf")),
              AllOf(HasSubstr("part 2 of 3 of the model is missing"), HasSubstr("m-00002-of-00003.gguf")));
  std::filesystem::rename(Path("m-00001-of-00003.gguf"), Path("model.gguf"));
  EXPECT_THAT(ErrorOf(Path("model.gguf")), HasSubstr("NAME-00001-of-00003.gguf"));
}

TEST_F(GgufFileTest, PartsThatDisagreeAreRefused) {
  WriteSplit();
  WritePart(1, 3, "t1", 2, 3);
  EXPECT_THAT(ErrorOf(Path("m-00001-of-00003.gguf")), HasSubstr("says that it is part 3 of 3"));
  WritePart(1, 3, "t1", 1, 4);
  EXPECT_THAT(ErrorOf(Path("m-00001-of-00003.gguf")), HasSubstr("part 2 of 4"));
  WritePart(1, 3, "t0", 1, 3);
  EXPECT_THAT(ErrorOf(Path("m-00001-of-00003.gguf")), HasSubstr("tensor t0 is in another part"));
  WritePart(1, 3, "t1", 1, 3);
  WritePart(0, 3, "t0", 0, 3, 4);
  EXPECT_THAT(ErrorOf(Path("m-00001-of-00003.gguf")), HasSubstr("should have 4 tensors, but its 3 parts have 3"));
  WritePart(0, 3, "t0", 0, 3, -1);
  EXPECT_THAT(ErrorOf(Path("m-00001-of-00003.gguf")), HasSubstr("split.tensors.count is -1"));
  // The name says three parts, the file sixty thousand: refused at the first that is not there.
  WritePart(0, 3, "t0", 0, 60000);
  EXPECT_THAT(ErrorOf(Path("m-00001-of-00003.gguf")), HasSubstr("part 1 of 60000"));
}

TEST_F(GgufFileTest, ASplitNameWithoutSplitKeysIsAnOrdinaryFile) {
  const std::string path = WriteFile("m-00001-of-00002.gguf", GgufBytes(0, 1).Pair("k", uint32_t{5}).text());
  EXPECT_EQ(ErrorOf(path), "no error");
  const std::string bad = WriteFile("n-00001-of-00002.gguf", GgufBytes(0, 1).Pair("split.count", 2.0f).text());
  EXPECT_THAT(ErrorOf(bad), AllOf(testing::StartsWith(bad), HasSubstr("split.count")));
}

struct RealModel {
  const char* name;
  size_t tensors;
  size_t tokens;
};

TEST(RealGgufFileTest, InstalledModelsOpenInMilliseconds) {
  for (const RealModel& model : {RealModel{"smollm2", 272, 49152}, RealModel{"gemma3-270m", 236, 262144}}) {
    const auto path = CacheFolder() / "models" / (std::string(model.name) + ".gguf");
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not installed";
    const auto start = std::chrono::steady_clock::now();
    const auto file = GgufFile::Open(path.string());
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->tensors().size(), model.tensors);
    EXPECT_EQ(file->metadata().GetStrings("tokenizer.ggml.tokens")->size(), model.tokens);
    std::printf("%s: opened in %.1f ms\n", model.name, elapsed.count());
    EXPECT_LT(elapsed.count(), 2000.0);  // a cold disk is slow; parsing is not
  }
}

TEST(RealGgufFileTest, VocabularyFilesOpen) {
  const std::filesystem::path folder = KVASIR_SHARED_DATA "/tokenizers";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    const auto file = GgufFile::Open(entry.path().string());
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_TRUE(file->metadata().GetStrings("tokenizer.ggml.tokens")) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace kvasir::files
