#include "files/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "files/safetensors_bytes_test.h"
#include "files/temporary_folder_test.h"

namespace kvasir::files {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr std::string_view kHeader = R"({"__metadata__":{"format":"pt"},)"
                                     R"("b":{"dtype":"F16","shape":[2],"data_offsets":[24,28]},)"
                                     R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                     R"("scalar":{"dtype":"I64","shape":[],"data_offsets":[28,36]},)"
                                     R"("none":{"dtype":"F32","shape":[0,7],"data_offsets":[36,36]},)"
                                     R"("mask":{"dtype":"BOOL","shape":[3],"data_offsets":[36,39]}}  )";

std::string Data() {
  std::string data(39, '\0');
  const float values[6] = {1, 2, 3, 4, 5, 6};
  std::memcpy(data.data(), values, sizeof values);
  return data;
}

// Expects an error whose message contains all of `parts`.
void ExpectError(std::string_view header, std::string_view data, const std::vector<std::string>& parts,
                 ErrorCode code = ErrorCode::kCorrupt) {
  const auto bytes = SafetensorsBytes(header, data);
  const auto contents = ParseSafetensors(bytes);
  ASSERT_FALSE(contents) << "accepted: " << header;
  EXPECT_EQ(contents.error().code, code) << contents.error().message;
  for (const std::string& part : parts) EXPECT_THAT(contents.error().message, HasSubstr(part));
  EXPECT_LT(contents.error().message.size(), 500u);
}

// A header of one tensor "w".
std::string One(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return fmt::format(R"({{"w":{{"dtype":{},"shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
}

TEST(SafetensorsParser, ReadsMetadataAndTensors) {
  const auto bytes = SafetensorsBytes(kHeader, Data());
  const auto contents = ParseSafetensors(bytes);
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_THAT(contents->metadata, ElementsAre(Pair("format", "pt")));
  ASSERT_EQ(contents->tensors.size(), 4u);
  const tensor::TensorView& a = contents->tensors[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.dtype, tensor::DType::kF32);
  EXPECT_EQ(a.dims, 2);
  EXPECT_THAT(a.shape, ElementsAre(3, 2, 1, 1)) << "contiguous dimension first";
  EXPECT_EQ(a.data, bytes.data() + 8 + kHeader.size());
  EXPECT_EQ(contents->tensors[1].name, "b");
  EXPECT_EQ(contents->tensors[1].bytes, 4u);
  EXPECT_EQ(contents->tensors[2].elements(), 1) << "a scalar";
  EXPECT_EQ(contents->tensors[3].elements(), 0) << "a dimension of 0";
  for (const tensor::TensorView& view : contents->tensors) {
    EXPECT_EQ(view.bytes, static_cast<size_t>(view.rows()) * view.row_bytes()) << view.name;
  }
  ASSERT_EQ(contents->foreign.size(), 1u);
  EXPECT_EQ(contents->foreign[0].name, "mask");
}

TEST(SafetensorsParser, AFileMayHoldNoTensor) {
  const auto bytes = SafetensorsBytes("{}", "");
  const auto contents = ParseSafetensors(bytes);
  ASSERT_TRUE(contents);
  EXPECT_TRUE(contents->tensors.empty());
}

TEST(SafetensorsParser, MovedContentsKeepTheirNames) {
  const auto bytes = SafetensorsBytes(kHeader, Data());
  auto contents = ParseSafetensors(bytes);
  const SafetensorsContents moved = std::move(*contents);
  EXPECT_EQ(moved.tensors[0].name, "a");
  EXPECT_EQ(moved.tensors[2].name, "scalar");
}

TEST(SafetensorsParser, EveryTruncationIsRefusedAndEveryFlippedByteIsSafe) {
  const auto whole = SafetensorsBytes(kHeader, Data());
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::vector<std::byte> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_FALSE(ParseSafetensors(part)) << length;
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {0x01, 0x20, 0x80, 0xff}) {
      auto bytes = whole;
      bytes[i] ^= static_cast<std::byte>(flip);
      const auto contents = ParseSafetensors(bytes);
      if (!contents) continue;
      for (const tensor::TensorView& view : contents->tensors) {
        EXPECT_GE(view.data, bytes.data());
        EXPECT_LE(view.data + view.bytes, bytes.data() + bytes.size());
      }
    }
  }
}

TEST(SafetensorsParser, RefusesHeadersThatAreNone) {
  const std::vector<std::byte> bytes = SafetensorsBytes("{}", "", uint64_t{1} << 60);
  EXPECT_THAT(ParseSafetensors(bytes).error().message, HasSubstr("1152921504606846976 bytes, more than the 100000000"));
  const std::vector<std::byte> cut = SafetensorsBytes("{}", "", 3);
  EXPECT_THAT(ParseSafetensors(cut).error().message, HasSubstr("needs 3 bytes, but only 2 are left"));
  ExpectError("", "", {"does not begin with '{'"});
  ExpectError(" {}", "", {"does not begin with '{'"});
  ExpectError("{", "", {"no JSON from byte"});
  ExpectError("{} x", "", {"no JSON from byte"});
  ExpectError("{\"\xff\":1}", "", {"no JSON from byte"});
  ExpectError(R"({"w":1})", "", {"'w' is 1, but must be the description of a tensor"});
  ExpectError(R"({"w":[]})", "", {"'w' is a list"});
  ExpectError(R"({"__metadata__":{"a":1}})", "", {"metadata key 'a' is 1, but must be a text"});
  ExpectError(R"({"__metadata__":{"a":"1","a":"2"}})", "", {"metadata key 'a' occurs twice"});
  ExpectError(R"({"__metadata__":{"a":{}}})", "", {"metadata key 'a' is an object"});
  ExpectError(R"({"w":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1}})", "1234", {"tensor w", "member 'x'"});
  ExpectError(R"({"w":{"dtype":"F32","shape":[]}})", "1234", {"tensor w must have dtype, shape and data_offsets"});
  ExpectError(R"({"w":{"dtype":"F32","dtype":"F32"}})", "", {"tensor w has dtype twice"});
  const std::string twice = R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  ExpectError("{" + twice + "," + twice + "}", "1234", {"'w' occurs twice"});
  ExpectError(R"({")" + std::string(2000, 'n') + R"(":{}})", "", {"2000 bytes, more than the 1024"});
}

TEST(SafetensorsParser, RefusesNestingOfAnyDepth) {
  std::string header = R"({"w":{"shape":)";
  header.append(100'000, '[');
  ExpectError(header, "", {"tensor w has a list as shape"});
}

TEST(SafetensorsParser, RefusesMembersOfAnotherType) {
  ExpectError(One("4", "[1]", "[0,4]"), "1234", {"tensor w has 4 as dtype, but it must be a text"});
  ExpectError(One("\"F32\"", "1", "[0,4]"), "1234", {"1 as shape, but it must be a list of whole numbers"});
  ExpectError(One("\"F32\"", "[-1]", "[0,4]"), "1234", {"-1 as shape"});
  ExpectError(One("\"F32\"", "[1.0]", "[0,4]"), "1234", {"1.0 as shape"});
  ExpectError(One("\"F32\"", "[1]", "[0,null]"), "1234", {"null as data_offsets"});
  ExpectError(One("\"F32\"", "[1]", "[0]"), "1234", {"1 data_offsets, but must have 2"});
  ExpectError(One("\"F32\"", "[1]", "[0,4,8]"), "1234", {"3 data_offsets"});
  ExpectError(One("\"F33\"", "[1]", "[0,4]"), "1234", {"type 'F33', which the format does not know"});
  ExpectError(One("\"F32\"", "[1,1,1,1,1]", "[0,4]"), "1234", {"5 dimensions"}, ErrorCode::kUnsupported);
  std::string many = "[1";
  for (int i = 0; i < 100; ++i) many += ",1";
  ExpectError(One("\"F32\"", many + "]", "[0,4]"), "1234", {"more than 64 numbers"});
}

TEST(SafetensorsParser, RefusesBytesThatDoNotFit) {
  ExpectError(One("\"F32\"", "[2]", "[0,4]"), "1234", {"shape [2] takes 8 bytes, but its data_offsets hold 4"});
  ExpectError(One("\"F32\"", "[4611686018427387904,4]", "[0,4]"), "1234", {"more bytes than 2^63"});
  ExpectError(One("\"F32\"", "[18446744073709551615,0]", "[0,0]"), "", {"more bytes than 2^63"});
  ExpectError(One("\"F32\"", "[1]", "[0,8]"), "1234", {"bytes 0 to 8 of 4", "cut off or damaged"});
  ExpectError(One("\"F32\"", "[1]", "[4,0]"), "1234", {"bytes 4 to 0"});
  ExpectError(One("\"F32\"", "[1]", "[18446744073709551612,0]"), "1234", {"tensor w"});
  ExpectError(One("\"F32\"", "[1]", "[4,8]"), "12345678", {"begins at byte 4 of the data", "at 0"});
  ExpectError(One("\"F32\"", "[1]", "[0,4]"), "12345678", {"end at byte 4 of the data, but there are 8"});
  const auto two = [](std::string_view first, std::string_view second) {
    return fmt::format(R"({{"a":{{"dtype":"F32","shape":[1],"data_offsets":{}}},)"
                       R"("b":{{"dtype":"F32","shape":[1],"data_offsets":{}}}}})",
                       first, second);
  };
  ExpectError(two("[0,4]", "[2,6]"), "123456", {"tensor b begins at byte 2"});
  ExpectError(two("[0,4]", "[0,4]"), "1234", {"tensor b begins at byte 0"});
  ExpectError(two("[0,4]", "[6,10]"), "1234567890", {"tensor b begins at byte 6"});
}

class SafetensorsFileTest : public TemporaryFolderTest {
 protected:
  std::string Write(std::string_view header, std::string_view data) const {
    const auto bytes = SafetensorsBytes(header, data);
    return WriteFile("model.safetensors", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
};

TEST_F(SafetensorsFileTest, FindsTensorsByName) {
  auto file = SafetensorsFile::Open(Write(kHeader, Data()));
  ASSERT_TRUE(file) << file.error().message;
  const SafetensorsFile moved = std::move(*file);
  ASSERT_NE(moved.FindTensor("a"), nullptr);
  float last = 0;
  std::memcpy(&last, moved.FindTensor("a")->data + 20, 4);
  EXPECT_EQ(last, 6);
  EXPECT_EQ(moved.FindTensor("A"), nullptr);
  EXPECT_EQ(moved.GetTensor("b")->name, "b");
  const auto missing = moved.GetTensor("x\x1b");
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("model.safetensors: there is no tensor x\\x1b"));
  const auto foreign = moved.GetTensor("mask");
  EXPECT_EQ(foreign.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(foreign.error().message, HasSubstr("type BOOL"));
}

TEST_F(SafetensorsFileTest, ErrorsNameTheFile) {
  EXPECT_THAT(SafetensorsFile::Open(Write("{", "")).error().message, HasSubstr(Path("model.safetensors") + ": "));
  EXPECT_EQ(SafetensorsFile::Open(Path("none")).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace kvasir::files
