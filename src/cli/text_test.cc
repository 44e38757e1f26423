// The small pieces that turn values into text and back.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "cli/figures.h"
#include "cli/help.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/token_list.h"
#include "cli/utf8_text.h"

namespace kvasir::cli {
namespace {

TEST(Figures, AboutThreeDigits) {
  EXPECT_EQ(FormatFigure(0), "0.00");
  EXPECT_EQ(FormatFigure(0.01234), "0.0123");
  EXPECT_EQ(FormatFigure(8.756), "8.76");
  EXPECT_EQ(FormatFigure(9.999), "10.0");
  EXPECT_EQ(FormatFigure(43.21), "43.2");
  EXPECT_EQ(FormatFigure(99.96), "100");
  EXPECT_EQ(FormatFigure(12345.6), "12346");
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1000), "1.00 kB");
  EXPECT_EQ(FormatBytes(98'000'000), "98.0 MB");
  EXPECT_EQ(FormatBytes(999'600'000), "1.00 GB");
  EXPECT_EQ(FormatParameters(134'515'008), "135 M");
  EXPECT_EQ(FormatParameters(1'240'000'000), "1.24 B");
  EXPECT_EQ(FormatParameters(12), "12");
}

TEST(Utf8Text, FindsTheFirstByteThatIsNoText) {
  EXPECT_EQ(FirstInvalidUtf8("Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82"), std::nullopt);
  EXPECT_EQ(FirstInvalidUtf8("ab\xff"), 2U);
  EXPECT_EQ(FirstInvalidUtf8("ab\xc3"), 2U);
  EXPECT_EQ(FirstInvalidUtf8("\xc0\x80"), 0U);          // too long a form
  EXPECT_EQ(FirstInvalidUtf8("\xed\xa0\x80"), 0U);      // a surrogate
  EXPECT_EQ(FirstInvalidUtf8("\xf4\x90\x80\x80"), 0U);  // beyond Unicode
  EXPECT_EQ(CheckUtf8("a\xff", "the prompt").error().message, "the prompt is not UTF-8 text: byte 0xff at position 1");
}

TEST(Utf8Text, NothingHarmlessSteersATerminal) {
  EXPECT_EQ(Harmless("a\n\xc3\xa9 \xf0\x9f\x99\x82"), "a\n\xc3\xa9 \xf0\x9f\x99\x82");
  EXPECT_EQ(Harmless("\x1b[31m\r\x07\x7f"), "\uFFFD[31m\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(Harmless("\xc2\x9b\xff\xc3"), "\uFFFD\uFFFD\uFFFD");
}

TEST(Utf8Text, EscapesToOneReadableLine) {
  EXPECT_EQ(Escape("a\tb\nc\\d\r"), "a\\tb\\nc\\\\d\\r");
  EXPECT_EQ(Escape(std::string_view("\x00\x1b\x7f\xff", 4)), "\\x00\\x1b\\x7f\\xff");
  EXPECT_EQ(Escape("\xc3\xa9\xc2\x9b"), "\xc3\xa9\\xc2\\x9b");
}

RC_GTEST_PROP(Utf8Text, EscapedTextIsUtf8WithoutControls, (const std::string& bytes)) {
  const std::string shown = Escape(bytes);
  RC_ASSERT(!FirstInvalidUtf8(shown));
  for (const char c : shown) RC_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

TEST(Terminal, ModelsCannotSteerIt) {
  EXPECT_EQ(WithoutControls("a\x1b[2Jb\n\tc\r\x7f\x07"), "a[2Jb\n\tc");
  EXPECT_EQ(WithoutControls("\xc2\x9b"
                            "31m \xc2\xa9 \xc3\xa9"),
            "31m \xc2\xa9 \xc3\xa9");
}

TEST(TokenList, ReadsJsonAndPlainNumbers) {
  const std::vector<int32_t> ids = {1, 22, 333};
  for (const char* text : {"[1, 22, 333]", "1 22 333", "1,22,333", " [\n1,\n22,\n333\n]\n", "1\n22\n333\n"}) {
    EXPECT_EQ(ParseTokenList(text).value(), ids) << text;
  }
  EXPECT_TRUE(ParseTokenList("").value().empty());
  EXPECT_TRUE(ParseTokenList("[]").value().empty());
}

TEST(TokenList, NamesTheBadOne) {
  EXPECT_EQ(ParseTokenList("1 2 x3").error().message, "'x3' (item 3) is not a token id");
  EXPECT_EQ(ParseTokenList("[1, -2]").error().message, "'-2' (item 2) is not a token id");
  EXPECT_EQ(ParseTokenList("1.5").error().message, "'1.5' (item 1) is not a token id");
  EXPECT_EQ(ParseTokenList("99999999999").error().message, "'99999999999' (item 1) is not a token id");
  EXPECT_EQ(ParseTokenList("\xff\x01").error().message, "'\\xff\\x01' (item 1) is not a token id");
  EXPECT_FALSE(ParseTokenList("[1, 2"));
}

TEST(Progress, ABarThatFits) {
  EXPECT_EQ(ProgressLine("loading", 1, 2, "weights", 79), "loading [############------------]  50% weights");
  EXPECT_EQ(ProgressLine("loading", 5, 2, "", 79), "loading [########################] 100%");
  EXPECT_EQ(ProgressLine("working", 0, 0, "chunk 3", 79), "working chunk 3");
  EXPECT_EQ(ProgressLine("loading", 1, 2, "weights", 10), "loading [#");
}

TEST(Help, WrapsAtSpaces) {
  EXPECT_EQ(WrapText("one two three", 2, 10), "one two\n  three");
  EXPECT_EQ(WrapText("averyverylongword x", 2, 10), "averyverylongword\n  x");
  EXPECT_EQ(WrapText("", 2, 10), "");
}

}  // namespace
}  // namespace kvasir::cli
