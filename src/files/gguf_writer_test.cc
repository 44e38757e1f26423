#include "files/gguf_writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "files/gguf_parser.h"
#include "files/gguf_reader.h"
#include "files/temporary_folder_test.h"

namespace kvasir::files {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class GgufWriterTest : public TemporaryFolderTest {
 protected:
  [[nodiscard]] std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.push_back(entry.path().filename());
    return names;
  }
};

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

GgufHeader EveryType() {
  GgufHeader header;
  header.Set("u8", uint8_t{255});
  header.Set("i8", int8_t{-128});
  header.Set("u16", uint16_t{65535});
  header.Set("i16", int16_t{-32768});
  header.Set("u32", ~uint32_t{0});
  header.Set("i32", int32_t{-1});
  header.Set("u64", ~uint64_t{0});
  header.Set("i64", int64_t{-1});
  header.Set("f32", -0.5f);
  header.Set("f64", 1e300);
  header.Set("bool", true);
  header.SetString("string", "h\xc3\xa9llo");
  header.SetString("empty", "");
  const int16_t numbers[] = {1, -2, 3};
  header.SetArray<int16_t>("numbers", numbers);
  const bool flags[] = {true, false};
  header.SetArray<bool>("flags", flags);
  header.SetArray<float>("none", {});
  const std::string_view texts[] = {"a", "", "bc"};
  header.SetStrings("texts", texts);
  return header;
}

Result<GgufContents> Reparse(const GgufHeader& header, std::vector<std::byte>& storage) {
  const auto encoded = header.Encode();
  if (!encoded) return std::unexpected(encoded.error());
  storage.assign(Bytes(*encoded).begin(), Bytes(*encoded).end());
  return ParseGguf(storage);
}

TEST(GgufHeaderTest, EveryMetadataTypeIsReadBack) {
  std::vector<std::byte> bytes;
  const auto contents = Reparse(EveryType(), bytes);
  ASSERT_TRUE(contents) << contents.error().message;
  const GgufMetadata& metadata = contents->metadata;
  EXPECT_EQ(metadata.entries().size(), 17u);
  EXPECT_EQ(metadata.GetU32("u8").value(), 255u);
  EXPECT_EQ(metadata.GetI32("i8").value(), -128);
  EXPECT_EQ(metadata.GetU32("u16").value(), 65535u);
  EXPECT_EQ(metadata.GetI32("i16").value(), -32768);
  EXPECT_EQ(metadata.GetU64("u64").value(), ~uint64_t{0});
  EXPECT_EQ(metadata.GetI64("i64").value(), -1);
  EXPECT_EQ(metadata.GetF32("f32").value(), -0.5f);
  EXPECT_EQ(metadata.Find("f64")->type, GgufType::kF64);
  EXPECT_TRUE(metadata.GetBool("bool").value());
  EXPECT_EQ(metadata.GetString("string").value(), "h\xc3\xa9llo");
  EXPECT_EQ(metadata.GetString("empty").value(), "");
  EXPECT_THAT(metadata.GetIntegers("numbers").value(), ElementsAre(1, -2, 3));
  EXPECT_THAT(metadata.GetBools("flags").value(), ElementsAre(true, false));
  EXPECT_THAT(metadata.GetFloats("none").value(), IsEmpty());
  EXPECT_THAT(metadata.GetStrings("texts").value(), ElementsAre("a", "", "bc"));
}

TEST(GgufHeaderTest, CopyingValuesGivesTheSameBytes) {
  std::vector<std::byte> bytes;
  const auto contents = Reparse(EveryType(), bytes);
  ASSERT_TRUE(contents);
  GgufHeader copy;
  for (const auto& entry : contents->metadata.entries()) copy.SetValue(entry.key, entry.value);
  EXPECT_EQ(copy.Encode().value(), EveryType().Encode().value());
}

TEST(GgufHeaderTest, SettingAgainReplacesInPlace) {
  GgufHeader header;
  header.Set("a", uint32_t{1});
  header.Set("b", uint32_t{2});
  header.SetString("a", "now text");
  header.Set("c", uint32_t{3});
  header.Remove("b");
  std::vector<std::byte> bytes;
  const auto contents = Reparse(header, bytes);
  ASSERT_TRUE(contents);
  ASSERT_EQ(contents->metadata.entries().size(), 2u);
  EXPECT_EQ(contents->metadata.entries()[0].key, "a");
  EXPECT_EQ(contents->metadata.GetString("a").value(), "now text");
}

TEST(GgufHeaderTest, RefusesWhatNoReaderWouldTake) {
  const auto error = [](auto change) {
    GgufHeader header;
    change(header);
    const auto encoded = header.Encode();
    return encoded ? std::string("no error") : encoded.error().message;
  };
  const int64_t row[] = {32};
  const int64_t ragged[] = {33};
  const int64_t five[] = {1, 1, 1, 1, 1};
  EXPECT_THAT(error([](GgufHeader& h) { h.Set("general.alignment", uint32_t{33}); }), HasSubstr("power of two"));
  EXPECT_THAT(error([](GgufHeader& h) { h.Set("general.alignment", uint64_t{32}); }), HasSubstr("U32"));
  EXPECT_THAT(error([](GgufHeader& h) { h.Set("", uint32_t{1}); }), HasSubstr("key"));
  EXPECT_THAT(error([&](GgufHeader& h) {
                h.AddTensor("w", tensor::DType::kF32, row);
                h.AddTensor("w", tensor::DType::kF32, row);
              }),
              HasSubstr("tensor w was added twice"));
  EXPECT_THAT(error([&](GgufHeader& h) { h.AddTensor("w", tensor::DType::kQ4_0, ragged); }),
              HasSubstr("multiple of 32"));
  EXPECT_THAT(error([&](GgufHeader& h) { h.AddTensor("w", tensor::DType::kF32, five); }), HasSubstr("5 dimensions"));
  EXPECT_THAT(error([&](GgufHeader& h) { h.AddTensor("", tensor::DType::kF32, row); }), HasSubstr("name"));
}

TEST_F(GgufWriterTest, TensorsMayComeInPiecesAndAreAligned) {
  GgufHeader header;
  header.Set("general.alignment", uint32_t{64});
  const int64_t first[] = {4, 2};
  const int64_t second[] = {32};
  header.AddTensor("first", tensor::DType::kF32, first);
  header.AddTensor("second", tensor::DType::kQ8_0, second);
  auto writer = GgufWriter::Create(Path("m.gguf"), header);
  ASSERT_TRUE(writer) << writer.error().message;
  EXPECT_FALSE(std::filesystem::exists(Path("m.gguf")));  // not before Commit
  ASSERT_TRUE(writer->Append(Bytes("0123456789abcdef")));
  ASSERT_TRUE(writer->Append({}));
  ASSERT_TRUE(writer->Append(Bytes("ghijklmnopqrstuv")));
  ASSERT_TRUE(writer->Append(Bytes(std::string(34, 'q'))));
  ASSERT_TRUE(writer->Commit());
  EXPECT_THAT(Names(), ElementsAre("m.gguf"));
  const auto file = GgufFile::Open(Path("m.gguf"));
  ASSERT_TRUE(file) << file.error().message;
  const auto text = [&](const char* name) {
    const auto data = file->GetTensor(name)->span();
    return std::string(reinterpret_cast<const char*>(data.data()), data.size());
  };
  EXPECT_EQ(text("first"), "0123456789abcdefghijklmnopqrstuv");
  EXPECT_EQ(text("second"), std::string(34, 'q'));
  EXPECT_EQ(file->alignment(), 64u);
}

TEST_F(GgufWriterTest, TooFewOrTooManyBytesAreErrorsAndLeaveNothingBehind) {
  const int64_t shape[] = {4};
  GgufHeader header;
  header.AddTensor("w", tensor::DType::kF32, shape);
  {
    auto writer = GgufWriter::Create(Path("m.gguf"), header).value();
    ASSERT_TRUE(writer.Append(Bytes("01234567")));
    EXPECT_THAT(writer.Commit().error().message, HasSubstr("tensor w has only 8 of its 16 bytes"));
    EXPECT_THAT(writer.Append(Bytes("012345678")).error().message, HasSubstr("tensor w has 16 bytes, but 17"));
    ASSERT_TRUE(writer.Append(Bytes("01234567")));
    EXPECT_THAT(writer.Append(Bytes("x")).error().message, HasSubstr("follow the last of the 1 tensors"));
  }
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(GgufWriterTest, AnExistingFileIsReplacedOnlyByACompleteOne) {
  const std::string path = WriteFile("m.gguf", "old");
  {
    auto abandoned = GgufWriter::Create(path, EveryType()).value();
  }
  EXPECT_EQ(ReadFile(path), "old");
  auto writer = GgufWriter::Create(path, EveryType()).value();
  ASSERT_TRUE(writer.Commit());
  EXPECT_TRUE(GgufFile::Open(path));
}

TEST_F(GgufWriterTest, PlacesThatCannotBeWrittenAreErrors) {
  const std::string file = WriteFile("file", "");
  const auto below_a_file = GgufWriter::Create(file + "/m.gguf", EveryType());
  ASSERT_FALSE(below_a_file);
  EXPECT_EQ(below_a_file.error().code, ErrorCode::kIo);
  EXPECT_THAT(below_a_file.error().message, HasSubstr(file));
  std::filesystem::create_directory(Path("folder"));
  auto over_folder = GgufWriter::Create(Path("folder"), EveryType());
  ASSERT_TRUE(over_folder);
  EXPECT_FALSE(over_folder->Commit());
}

TEST_F(GgufWriterTest, AFullDiskIsAnErrorAndLeavesNothingBehind) {
  // A limit on the size of files makes write() fail as a full disk does.
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {8192, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const int64_t shape[] = {65536};
  GgufHeader header;
  header.AddTensor("w", tensor::DType::kF32, shape);
  Status status;
  {
    auto writer = GgufWriter::Create(Path("m.gguf"), header);
    ASSERT_TRUE(writer);
    status = writer->Append(Bytes(std::string(65536 * 4, 'x')));
    if (status) status = writer->Commit();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_THAT(Names(), IsEmpty());
}

Status Copy(const GgufFile& from, const std::string& path) {
  GgufHeader header;
  for (const auto& entry : from.metadata().entries()) header.SetValue(entry.key, entry.value);
  for (const auto& view : from.tensors()) {
    header.AddTensor(view.name, view.dtype, std::span(view.shape).first(static_cast<size_t>(view.dims)));
  }
  auto writer = GgufWriter::Create(path, header);
  if (!writer) return std::unexpected(writer.error());
  for (const auto& view : from.tensors()) {
    if (Status status = writer->Append(view.span()); !status) return status;
  }
  return writer->Commit();
}

// The seeds were written by the gguf package. Our copy of each one must be the same file to that package's reader.
TEST_F(GgufWriterTest, CopiesOfForeignFilesAreTheSameToTheGgufPackage) {
  const auto python = CacheFolder() / "venv" / "bin" / "python";
  if (!std::filesystem::exists(python)) GTEST_SKIP() << "no Python with the gguf package at " << python;
  int copies = 0;
  for (const auto& entry : std::filesystem::directory_iterator(KVASIR_SOURCE_DIR "/fuzz/corpus/gguf")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("bad-")) continue;
    const auto from = GgufFile::Open(entry.path().string());
    ASSERT_TRUE(from) << from.error().message;
    const Status status = Copy(*from, Path(name));
    ASSERT_TRUE(status) << status.error().message;
    const std::string command = fmt::format("'{}' '{}/tools/compare_gguf.py' '{}' '{}' > '{}' 2>&1", python.string(),
                                            KVASIR_SOURCE_DIR, entry.path().string(), Path(name), Path("output"));
    EXPECT_EQ(std::system(command.c_str()), 0) << name << ": " << ReadFile(Path("output"));
    ++copies;
  }
  EXPECT_GE(copies, 8);
}

TEST_F(GgufWriterTest, ACopyOfARealModelIsTheSame) {
  const auto original = CacheFolder() / "models" / "smollm2.gguf";
  if (!std::filesystem::exists(original)) GTEST_SKIP() << original << " is not installed";
  const auto from = GgufFile::Open(original.string());
  ASSERT_TRUE(from) << from.error().message;
  const Status status = Copy(*from, Path("copy.gguf"));
  ASSERT_TRUE(status) << status.error().message;
  const auto to = GgufFile::Open(Path("copy.gguf"));
  ASSERT_TRUE(to) << to.error().message;
  const auto same_entry = [](const auto& a, const auto& b) {
    return a.key == b.key && a.value.type == b.value.type && std::ranges::equal(a.value.elements, b.value.elements);
  };
  EXPECT_TRUE(std::ranges::equal(from->metadata().entries(), to->metadata().entries(), same_entry));
  const auto same_tensor = [](const auto& a, const auto& b) {
    return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && std::ranges::equal(a.span(), b.span());
  };
  EXPECT_TRUE(std::ranges::equal(from->tensors(), to->tensors(), same_tensor));
}

}  // namespace
}  // namespace kvasir::files
