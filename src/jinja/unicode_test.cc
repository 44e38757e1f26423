#include "jinja/unicode.h"

#include <gtest/gtest.h>

namespace kvasir::jinja {
namespace {

TEST(Unicode, DecodesAndEncodes) {
  const std::string text = "aé日🙂";
  EXPECT_EQ(Decode(text), U"aé日🙂");
  EXPECT_EQ(Encode(Decode(text)), text);
  EXPECT_EQ(CodePointCount(text), 4u);
  EXPECT_EQ(ByteOffset(text, 2), 3u);
  EXPECT_EQ(ByteOffset(text, 99), text.size());
  EXPECT_EQ(PreviousOffset(text, text.size()), 6u);
}

TEST(Unicode, InvalidBytesBecomeReplacementCharacters) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(ToValidUtf8("\xff"), replacement);
  EXPECT_EQ(ToValidUtf8("\xc0\x80"), replacement + replacement);                    // overlong
  EXPECT_EQ(ToValidUtf8("\xed\xa0\x80"), replacement + replacement + replacement);  // a surrogate
  EXPECT_EQ(ToValidUtf8("\xf4\x90\x80\x80").size(), 12u);                           // beyond U+10FFFF
  EXPECT_EQ(ToValidUtf8("\xe6\x97"), replacement + replacement);                    // cut off
  EXPECT_EQ(ToValidUtf8("a\xc3"
                        "b"),
            "a" + replacement + "b");
  EXPECT_EQ(ToValidUtf8("日本"), "日本");
}

TEST(Unicode, ChangesCaseBeyondOneToOne) {
  EXPECT_EQ(ToUpper("straße ﬁ ŉ"), "STRASSE FI ʼN");
  EXPECT_EQ(ToLower("ΣΑΣ Σ ΑΣΑ"), "σας σ ασα");
  EXPECT_EQ(ToLower("İ"), "i̇");
  EXPECT_EQ(ToTitle("they're ǆ ß"), "They'Re ǅ Ss");
  EXPECT_EQ(Capitalize("éCOLE"), "École");
  EXPECT_EQ(SwapCase("aBß"), "AbSS");
  EXPECT_EQ(CaseFold("Straße"), "strasse");
}

TEST(Unicode, ClassifiesAsPythonDoes) {
  EXPECT_TRUE(IsSpace(0x1C) && IsSpace(0xA0) && IsSpace(0x3000) && !IsSpace(0x200B));
  EXPECT_TRUE(IsDigit(U'²') && !IsDecimal(U'²') && IsNumeric(U'½') && IsNumeric(U'一'));
  EXPECT_TRUE(IsLower(U'ª') && IsUpper(U'Ⅷ') && IsTitle(U'ǅ'));
  EXPECT_TRUE(IsPrintable(U'é') && !IsPrintable(0xA0) && !IsPrintable(0xAD) && !IsPrintable(0x7F));
  EXPECT_TRUE(IsIdentifierStart(U'é') && !IsIdentifierStart(U'1') && IsIdentifierPart(U'1'));
}

TEST(Unicode, ReadsTheDigitsOfEveryScript) {
  EXPECT_EQ(WithAsciiDigits("\u0663\u06f5 x\uff10\U0001d7ff7\u00b2"), "35 x097\u00b2");
  // Whole scripts of ten digits touch each other, or the value of a digit would not follow from its place.
  size_t run = 0;
  size_t digits = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (IsDecimal(c)) {
      std::string text;
      AppendUtf8(text, c);
      EXPECT_EQ(WithAsciiDigits(text), std::to_string(run % 10)) << static_cast<uint32_t>(c);
      ++run;
      ++digits;
    } else {
      EXPECT_EQ(run % 10, 0u) << static_cast<uint32_t>(c);
      run = 0;
    }
  }
  EXPECT_GE(digits, 600u);
}

TEST(Unicode, StripsWholeCharacters) {
  EXPECT_EQ(StripLeft(" \u3000\u00a0é "), "é ");
  EXPECT_EQ(StripRight(" é\u2003\n"), " é");
  EXPECT_EQ(StripRight("\u00a0"), "");
}

}  // namespace
}  // namespace kvasir::jinja
