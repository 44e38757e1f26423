#include "jinja/strftime.h"

#include <gtest/gtest.h>

#include <ctime>

namespace kvasir::jinja {
namespace {

/// The C library in the C locale is the oracle, over days that include leap years and both ends of the year.
TEST(Strftime, AgreesWithTheCLibrary) {
  constexpr const char* kFormat =
      "%a %A %b %B %c %C %d %D %e %F %g %G %h %H %I %j %m %M %n %p %r %R %S %t %T %u %U %V %w %W %x %X %y %Y %% %-d "
      "%_m %k %l";
  for (int year : {1999, 2000, 2020, 2021, 2023, 2024, 2026}) {
    for (int day = 0; day < 366; day += 3) {
      std::tm tm{};
      tm.tm_year = year - 1900;
      tm.tm_mday = 1 + day;
      tm.tm_hour = day % 24;
      tm.tm_min = day % 60;
      tm.tm_sec = (day * 7) % 60;
      tm.tm_isdst = -1;
      timegm(&tm);
      char expected[512];
      ASSERT_GT(std::strftime(expected, sizeof(expected), kFormat, &tm), 0u);
      const CivilTime time{tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec};
      ASSERT_EQ(Strftime(time, kFormat), expected);
    }
  }
}

TEST(Strftime, KeepsWhatItDoesNotKnow) {
  const CivilTime time{2024, 7, 26, 13, 5, 9};
  EXPECT_EQ(Strftime(time, "%f %z %"), "000000  %");
  EXPECT_EQ(Strftime(time, "%Q"), "%Q");
}

TEST(Strftime, CarriesFieldsOutOfRange) {
  EXPECT_EQ(Strftime({2024, 13, 32, 25, 61, 61}, "%F %T"), "2025-02-02 02:02:01");
}

}  // namespace
}  // namespace kvasir::jinja
