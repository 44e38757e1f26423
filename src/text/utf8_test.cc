#include "text/utf8.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace kvasir::text {
namespace {

TEST(Utf8, EveryCodePointGoesThereAndBack) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    AppendUtf8(c, text);
    const Utf8Char back = DecodeUtf8(text, 0);
    ASSERT_EQ(back.status, Utf8Status::kValid) << static_cast<uint32_t>(c);
    ASSERT_EQ(back.code_point, c);
    ASSERT_EQ(static_cast<size_t>(back.length), text.size());
    ASSERT_EQ(ValidUtf8Prefix(text), text.size());
  }
}

std::string Replaced(std::string_view text) {
  std::string out;
  AppendReplacingInvalid(text, out);
  return out;
}

// The examples of the Unicode Standard, section 3.9, tables 3-8 to 3-11.
TEST(Utf8, EachMaximalMalformedPartIsReplacedOnce) {
  const std::string r(kReplacementUtf8);
  EXPECT_EQ(Replaced("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(Replaced("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(Replaced("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(Replaced("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
  EXPECT_EQ(Replaced("a\xE2\x82"), "a" + r);
}

TEST(Utf8, TheEndOfTheTextIsToldFromAnError) {
  EXPECT_EQ(DecodeUtf8("\xE2\x82", 0).status, Utf8Status::kTruncated);
  EXPECT_EQ(DecodeUtf8("\xE2\x82", 0).length, 2);
  EXPECT_EQ(DecodeUtf8("\xE2\x28", 0).status, Utf8Status::kInvalid);
  EXPECT_EQ(DecodeUtf8("\x80", 0).status, Utf8Status::kInvalid);
}

RC_GTEST_PROP(Utf8, ReplacedTextIsValidAndValidTextUnchanged, ()) {
  const auto bytes = *rc::gen::arbitrary<std::string>();
  const std::string valid = Replaced(bytes);
  RC_ASSERT(ValidUtf8Prefix(valid) == valid.size());
  RC_ASSERT(Replaced(valid) == valid);
  if (ValidUtf8Prefix(bytes) == bytes.size()) RC_ASSERT(valid == bytes);
}

}  // namespace
}  // namespace kvasir::text
