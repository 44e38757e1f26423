#include "files/gguf_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "files/gguf_bytes_test.h"
#include "files/gguf_parser.h"

namespace kvasir::files {
namespace {

using testing::ElementsAre;

class GgufMetadataTest : public testing::Test {
 protected:
  GgufMetadataTest() {
    GgufBytes file(0, 12);
    file.Pair("u8", uint8_t{200}).Pair("i8", int8_t{-5}).Pair("u64", ~uint64_t{0}).Pair("i64", int64_t{-1});
    file.Pair("f32", 1.5f).Pair("f64", 0.25).Pair("bool", true);
    file.Key("text", GgufType::kString).Text("a \"b\"\n");
    file.Array("u16s", GgufType::kU16, 3).Put(uint16_t{1}).Put(uint16_t{2}).Put(uint16_t{65535});
    file.Array("u64s", GgufType::kU64, 1).Put(~uint64_t{0});
    file.Array("f64s", GgufType::kF64, 2).Put(0.5).Put(-2.0);
    file.Array("bools", GgufType::kBool, 2).Put(uint8_t{1}).Put(uint8_t{0});
    bytes_ = file.Copy();
    auto contents = ParseGguf(bytes_);
    EXPECT_TRUE(contents) << contents.error().message;
    if (contents) metadata_ = std::move(contents->metadata);
  }

  std::vector<std::byte> bytes_;
  GgufMetadata metadata_;
};

TEST_F(GgufMetadataTest, IntegersWidenWhenTheyFit) {
  EXPECT_EQ(metadata_.GetU32("u8").value(), 200u);
  EXPECT_EQ(metadata_.GetI32("i8").value(), -5);
  EXPECT_EQ(metadata_.GetI64("i64").value(), -1);
  EXPECT_EQ(metadata_.GetU64("u64").value(), ~uint64_t{0});
  EXPECT_EQ(metadata_.GetU32("i8").error().message, "metadata key i8 is -5, but must be between 0 and 4294967295");
  EXPECT_FALSE(metadata_.GetI64("u64"));
  EXPECT_FALSE(metadata_.GetU64("i64"));
}

TEST_F(GgufMetadataTest, FloatsBooleansAndStringsAreNotConverted) {
  EXPECT_EQ(metadata_.GetF32("f32").value(), 1.5f);
  EXPECT_EQ(metadata_.GetF32("f64").value(), 0.25f);
  EXPECT_TRUE(metadata_.GetBool("bool").value());
  EXPECT_EQ(metadata_.GetString("text").value(), "a \"b\"\n");
  EXPECT_EQ(metadata_.GetF32("u8").error().message, "metadata key u8 is of type U8, but must be a float");
  EXPECT_EQ(metadata_.GetU32("f32").error().message, "metadata key f32 is of type F32, but must be an integer");
  EXPECT_FALSE(metadata_.GetBool("u8"));
  EXPECT_FALSE(metadata_.GetString("u16s"));
  EXPECT_FALSE(metadata_.GetU32("u16s"));
}

TEST_F(GgufMetadataTest, AFallbackStandsForAbsenceOnly) {
  EXPECT_EQ(metadata_.GetU32("none", 7).value(), 7u);
  EXPECT_EQ(metadata_.GetString("none", "x").value(), "x");
  EXPECT_EQ(metadata_.GetF32("none", 0.5f).value(), 0.5f);
  EXPECT_EQ(metadata_.GetBool("none", false).value(), false);
  EXPECT_EQ(metadata_.GetU32("none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(metadata_.GetU32("none").error().message, "the metadata has no key none");
  EXPECT_FALSE(metadata_.GetU32("text", 7));
  EXPECT_FALSE(metadata_.GetF32("u8", 7.0f));
}

TEST_F(GgufMetadataTest, ArraysHaveTheElementTypeTheySay) {
  EXPECT_THAT(metadata_.GetIntegers("u16s").value(), ElementsAre(1, 2, 65535));
  EXPECT_THAT(metadata_.GetFloats("f64s").value(), ElementsAre(0.5f, -2.0f));
  EXPECT_THAT(metadata_.GetBools("bools").value(), ElementsAre(true, false));
  EXPECT_EQ(metadata_.GetFloats("u16s").error().message,
            "metadata key u16s is an array of U16, but must be an array of floats");
  EXPECT_FALSE(metadata_.GetIntegers("u64s"));
  EXPECT_FALSE(metadata_.GetIntegers("u8"));
  EXPECT_FALSE(metadata_.GetStrings("u16s"));
  EXPECT_FALSE(metadata_.GetBools("none"));
}

TEST_F(GgufMetadataTest, ValuesPrintOnOneLine) {
  EXPECT_EQ(FormatValue(*metadata_.Find("i8")), "-5");
  EXPECT_EQ(FormatValue(*metadata_.Find("f64")), "0.25");
  EXPECT_EQ(FormatValue(*metadata_.Find("bool")), "true");
  EXPECT_EQ(FormatValue(*metadata_.Find("text")), "\"a \"b\"\\n\"");
  EXPECT_EQ(FormatValue(*metadata_.Find("text"), 8, 3), "\"a \"...\"");
  EXPECT_EQ(FormatValue(*metadata_.Find("u16s")), "[1, 2, 65535]");
  EXPECT_EQ(FormatValue(*metadata_.Find("u16s"), 2), "[1, 2, ... 3 in all]");
}

TEST(PrintableTest, NeverCutsACodePoint) {
  EXPECT_EQ(Printable("h\xc3\xa9llo", 2), "h...");
  EXPECT_EQ(Printable("h\xc3\xa9llo", 3), "h\xc3\xa9...");
  EXPECT_EQ(Printable("ok"), "ok");
  EXPECT_EQ(Printable("\x7f\t"), "\\x7f\\x09");
}

}  // namespace
}  // namespace kvasir::files
