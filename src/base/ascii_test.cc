#include "base/ascii.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

namespace kvasir::base {
namespace {

TEST(AsciiTest, EveryByteIsWhatItIs) {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool digit = std::string_view("0123456789").contains(c);
    const auto lower = std::string_view("abcdefghijklmnopqrstuvwxyz").find(c);
    const auto upper = std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ").find(c);
    const auto letter = std::min(lower, upper);
    EXPECT_EQ(IsDigit(c), digit) << i;
    EXPECT_EQ(IsAlphanumeric(c), digit || letter != std::string_view::npos) << i;
    EXPECT_EQ(DigitValue(c), digit                              ? i - '0'
                             : letter != std::string_view::npos ? static_cast<int>(letter) + 10
                                                                : 36)
        << i;
    EXPECT_EQ(LowerOf(c), upper != std::string_view::npos ? 'a' + static_cast<int>(upper) : c) << i;
    EXPECT_EQ(UpperOf(c), lower != std::string_view::npos ? 'A' + static_cast<int>(lower) : c) << i;
  }
}

TEST(AsciiTest, TextsKeepWhatIsNoLetter) {
  EXPECT_EQ(Lowered("X-Request-ID: \xC3\x84!"), "x-request-id: \xC3\x84!");
  EXPECT_EQ(Uppered("aZ9_\xC3\xA4"), "AZ9_\xC3\xA4");
}

}  // namespace
}  // namespace kvasir::base
