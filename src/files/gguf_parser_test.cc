#include "files/gguf_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "files/gguf_bytes_test.h"

namespace kvasir::files {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr uint32_t kF32 = 0;

/// Expects an error whose message contains all of `parts`.
void ExpectError(const GgufBytes& file, std::vector<std::string> parts, ErrorCode code = ErrorCode::kCorrupt) {
  const auto bytes = file.Copy();
  const auto contents = ParseGguf(bytes);
  ASSERT_FALSE(contents) << "accepted; expected: " << parts.front();
  EXPECT_EQ(contents.error().code, code) << contents.error().message;
  for (const std::string& part : parts) EXPECT_THAT(contents.error().message, HasSubstr(part));
  EXPECT_LT(contents.error().message.size(), 500u);
}

GgufBytes SmallFile() {
  GgufBytes file(2, 3);
  file.Key("general.architecture", GgufType::kString).Text("llama");
  file.Pair("llama.block_count", uint32_t{2});
  file.Array("tokenizer.ggml.tokens", GgufType::kString, 3).Text("a").Text("").Text("ccc");
  file.Tensor("first", {3, 2}, kF32, 0);
  file.Tensor("second", {32}, static_cast<uint32_t>(tensor::DType::kQ8_0), 32);
  return file.Pad(32).Fill(24).Pad(32).Fill(34);
}

TEST(GgufParserTest, ReadsMetadataAndTensors) {
  const auto bytes = SmallFile().Copy();
  const auto contents = ParseGguf(bytes);
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_EQ(contents->version, 3u);
  EXPECT_EQ(contents->alignment, 32u);
  EXPECT_EQ(contents->metadata.entries().size(), 3u);
  EXPECT_EQ(contents->metadata.GetString("general.architecture").value(), "llama");
  EXPECT_THAT(contents->metadata.GetStrings("tokenizer.ggml.tokens").value(), ElementsAre("a", "", "ccc"));
  ASSERT_EQ(contents->tensors.size(), 2u);
  const tensor::TensorView& second = contents->tensors[1];
  EXPECT_EQ(second.name, "second");
  EXPECT_EQ(second.dims, 1);
  EXPECT_THAT(second.shape, ElementsAre(32, 1, 1, 1));
  EXPECT_EQ(second.data, bytes.data() + bytes.size() - 34);
  EXPECT_EQ(second.bytes, 34u);
}

TEST(GgufParserTest, Version2AndAMissingLastPaddingAreAccepted) {
  std::string text = SmallFile().text();
  text[4] = 2;
  GgufBytes file;
  const auto bytes = file.Raw(text).Copy();
  const auto contents = ParseGguf(bytes);
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_EQ(contents->version, 2u);
}

TEST(GgufParserTest, AFileWithoutTensorsNeedsNoDataSection) {
  const auto bytes = GgufBytes(0, 1).Pair("k", uint8_t{1}).Copy();
  const auto contents = ParseGguf(bytes);
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_TRUE(contents->tensors.empty());
  EXPECT_EQ(contents->data_offset, bytes.size());
}

TEST(GgufParserTest, EveryTruncationAndEveryFlippedByteIsSafe) {
  const std::string whole = SmallFile().text();
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto bytes = GgufBytes().Raw(whole.substr(0, length)).Copy();
    EXPECT_FALSE(ParseGguf(bytes)) << "cut at " << length;
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      const auto bytes = GgufBytes().Raw(changed).Copy();
      (void)ParseGguf(bytes);
    }
  }
}

TEST(GgufParserTest, OtherFormatsAreRecognised) {
  ExpectError(GgufBytes().Raw("GG"), {"the magic number", "cut off"});
  ExpectError(GgufBytes().Raw("FUGG").Fill(40), {"not a GGUF file", "big-endian"});
  ExpectError(GgufBytes().Raw("PK\x03\x04").Fill(40), {"zip"});
  ExpectError(GgufBytes().Raw("<!DOCTYPE html><html>").Fill(40), {"web page"});
  ExpectError(GgufBytes().Raw("version https://git-lfs.github.com/spec/v1"), {"Git LFS pointer"});
  ExpectError(GgufBytes().Put(uint64_t{100}).Raw("{\"a\":").Fill(40), {"safetensors"});
  ExpectError(GgufBytes().Raw("tjgg").Fill(40), {"before GGUF"});
  ExpectError(GgufBytes().Fill(40), {"damaged"});
}

TEST(GgufParserTest, OtherVersionsAndEndiannessAreNamed) {
  const auto version = [](uint32_t number) {
    return GgufBytes().Raw("GGUF").Put(number).Put(uint64_t{0}).Put(uint64_t{0});
  };
  ExpectError(version(1), {"version 1", "convert"}, ErrorCode::kUnsupported);
  ExpectError(version(0), {"version 0"}, ErrorCode::kUnsupported);
  ExpectError(version(4), {"version 4", "2 and 3"}, ErrorCode::kUnsupported);
  ExpectError(version(0x03000000), {"big-endian"}, ErrorCode::kUnsupported);
}

TEST(GgufParserTest, CountsAreComparedWithTheFileBeforeAnythingIsReserved) {
  constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();
  ExpectError(GgufBytes(kHuge, 0), {"18446744073709551615 tensors"});
  ExpectError(GgufBytes(0, kHuge), {"18446744073709551615 metadata keys"});
  ExpectError(GgufBytes(0, uint64_t{1} << 63), {"metadata keys"});
  ExpectError(GgufBytes(1000, 0), {"1000 tensors", "cut off"});
  ExpectError(GgufBytes(0, 60000), {"60000 metadata keys", "cut off"});
}

TEST(GgufParserTest, LengthsOfStringsAndArraysAreComparedWithTheFile) {
  for (const uint64_t length :
       {uint64_t{1000}, uint64_t{1} << 30, uint64_t{1} << 31, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    ExpectError(GgufBytes(0, 1).Put(length).Fill(20), {"a metadata key"});
    ExpectError(GgufBytes(0, 1).Key("k", GgufType::kString).Put(length).Fill(20), {"metadata key k"});
    ExpectError(GgufBytes(1, 0).Put(length).Fill(40), {"the name of a tensor"});
    for (const GgufType element : {GgufType::kU8, GgufType::kString, GgufType::kF64, GgufType::kBool}) {
      ExpectError(GgufBytes(0, 1).Array("k", element, length).Fill(20), {"metadata key k"});
    }
  }
  ExpectError(GgufBytes(0, 1).Array("k", GgufType::kString, 2).Text("ok").Put(uint64_t{9}).Fill(3), {"metadata key k"});
}

TEST(GgufParserTest, KeysMustBeNamedTypedAndUnique) {
  ExpectError(GgufBytes(0, 1).Text("").Put(uint32_t{4}).Fill(10), {"0 bytes"});
  ExpectError(GgufBytes(0, 1).Text("k").Put(uint32_t{13}).Fill(10), {"metadata key k", "13"});
  ExpectError(GgufBytes(0, 1).Text("k").Put(uint32_t{0xffffffff}).Fill(10), {"metadata key k", "4294967295"});
  ExpectError(GgufBytes(0, 2).Pair("k", uint32_t{1}).Pair("k", uint32_t{2}), {"metadata key k occurs twice"});
  ExpectError(GgufBytes(0, 1).Array("k", GgufType::kArray, 1).Put(uint32_t{4}).Put(uint64_t{0}), {"array of arrays"},
              ErrorCode::kUnsupported);
  ExpectError(GgufBytes(0, 1).Key("k", GgufType::kArray).Put(uint32_t{77}).Put(uint64_t{0}), {"element type", "77"});
  ExpectError(GgufBytes(0, 1).Key("k", GgufType::kBool).Put(uint8_t{2}), {"boolean"});
  ExpectError(GgufBytes(0, 1).Array("k", GgufType::kBool, 2).Raw("\x01\x07"), {"boolean", "7"});
}

TEST(GgufParserTest, ControlCharactersOfTheFileNeverReachTheMessage) {
  const auto bytes = GgufBytes(0, 2).Pair("a\x1b[2J\nb", uint8_t{1}).Pair("a\x1b[2J\nb", uint8_t{1}).Copy();
  const auto contents = ParseGguf(bytes);
  ASSERT_FALSE(contents);
  EXPECT_THAT(contents.error().message,
              AllOf(HasSubstr("a\\x1b[2J\\nb"), Not(HasSubstr("\x1b")), Not(HasSubstr("\n"))));
  ExpectError(GgufBytes(0, 2).Pair(std::string(5000, 'k'), uint8_t{1}).Pair(std::string(5000, 'k'), uint8_t{1}),
              {"kkkk..."});
}

TEST(GgufParserTest, AlignmentIsAPowerOfTwoOfTypeU32) {
  for (const uint32_t bad : {0u, 1u, 3u, 4u, 33u, 1u << 22, 1u << 30, 0xffffffffu}) {
    ExpectError(GgufBytes(0, 1).Pair("general.alignment", bad), {"general.alignment is " + std::to_string(bad)});
  }
  ExpectError(GgufBytes(0, 1).Pair("general.alignment", int32_t{32}), {"general.alignment", "I32", "U32"});
  ExpectError(GgufBytes(0, 1).Pair("general.alignment", uint64_t{32}), {"general.alignment", "U64"});
  GgufBytes file(2, 1);
  file.Pair("general.alignment", uint32_t{128}).Tensor("a", {1}, kF32, 0).Tensor("b", {1}, kF32, 128);
  const auto bytes = file.Pad(128).Fill(4).Pad(128).Fill(4).Copy();
  const auto contents = ParseGguf(bytes);
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_EQ(contents->data_offset % 128, 0u);
  EXPECT_EQ(contents->tensors[1].data - contents->tensors[0].data, 128);
}

TEST(GgufParserTest, ShapesCannotOverflow) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const auto shape = [](const std::vector<int64_t>& dims) {
    return GgufBytes(1, 0).Tensor("w", dims, kF32, 0).Pad(32).Fill(64);
  };
  ExpectError(shape({}), {"tensor w has 0 dimensions"});
  ExpectError(shape({1, 1, 1, 1, 1}), {"tensor w has 5 dimensions"});
  ExpectError(shape({0}), {"tensor w has shape [0]", "at least 1"});
  ExpectError(shape({4, -1}), {"tensor w has shape [4, -1]"});
  ExpectError(shape({std::numeric_limits<int64_t>::min()}), {"tensor w"});
  ExpectError(shape({4, (int64_t{1} << 62) + 1}), {"tensor w", "2^63"});
  ExpectError(shape({int64_t{1} << 22, (int64_t{1} << 42) + 1}), {"tensor w", "2^63"});
  ExpectError(shape({int64_t{1} << 32, int64_t{1} << 32}), {"tensor w", "2^63"});
  ExpectError(shape({kMax}), {"tensor w", "more bytes than a machine can address"});
  ExpectError(shape({int64_t{1} << 31, int64_t{1} << 31}), {"tensor w", "bytes"});
  ExpectError(shape({1, kMax}), {"tensor w", "bytes"});
  ExpectError(GgufBytes(1, 0).Put(uint64_t{1}).Raw("w").Put(uint32_t{0xffffffff}).Fill(100),
              {"tensor w has 4294967295 dimensions"});
}

TEST(GgufParserTest, TypesOfTensorsAreKnownAndFitTheRow) {
  const auto type = [](uint32_t id) { return GgufBytes(1, 0).Tensor("w", {32}, id, 0).Pad(32).Fill(256); };
  ExpectError(type(4), {"tensor w", "type 4", "removed"}, ErrorCode::kUnsupported);
  ExpectError(type(99), {"tensor w", "type 99", "not known"}, ErrorCode::kUnsupported);
  ExpectError(type(0xffffffff), {"tensor w", "4294967295"}, ErrorCode::kUnsupported);
  ExpectError(type(static_cast<uint32_t>(tensor::DType::kQ4_K)), {"tensor w", "Q4_K", "multiple of 256"});
}

TEST(GgufParserTest, TensorDataLieInTheFileOneAfterTheOther) {
  ExpectError(GgufBytes(1, 0).Tensor("w", {16}, kF32, 0).Pad(32).Fill(63),
              {"tensor w needs 64 bytes", "only 127 bytes", "cut off"});
  ExpectError(GgufBytes(1, 0).Tensor("w", {16}, kF32, 0), {"tensor w needs 64 bytes"});
  ExpectError(GgufBytes(1, 0).Tensor("w", {1}, kF32, 32).Pad(32).Fill(64), {"tensor w is at offset 32", "at 0"});
  ExpectError(GgufBytes(1, 0).Tensor("w", {1}, kF32, ~uint64_t{0}).Pad(32).Fill(64), {"tensor w is at offset"});
  const auto second = [](uint64_t offset) {
    return GgufBytes(2, 0).Tensor("v", {8}, kF32, 0).Tensor("w", {8}, kF32, offset).Pad(32).Fill(128);
  };
  ExpectError(second(0), {"tensor w is at offset 0", "at 32"});
  ExpectError(second(16), {"tensor w is at offset 16"});
  ExpectError(second(64), {"tensor w is at offset 64"});
  ExpectError(GgufBytes(2, 0).Tensor("w", {8}, kF32, 0).Tensor("w", {8}, kF32, 32).Pad(32).Fill(128),
              {"tensor w occurs twice"});
  ExpectError(GgufBytes(1, 0).Tensor("", {8}, kF32, 0).Pad(32).Fill(128), {"name"});
  ExpectError(GgufBytes(1, 0).Tensor(std::string(65, 'n'), {8}, kF32, 0).Pad(32).Fill(128), {"name", "65"});
}

}  // namespace
}  // namespace kvasir::files
