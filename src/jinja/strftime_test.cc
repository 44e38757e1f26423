#include "jinja/strftime.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

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

/// Every flag, width and modifier before every directive that takes one.
TEST(Strftime, FlagsAndWidthsAgreeWithTheCLibrary) {
  const CivilTime time{2024, 7, 6, 3, 5, 9};
  std::tm tm{};
  tm.tm_year = 124;
  tm.tm_mon = 6;
  tm.tm_mday = 6;
  tm.tm_hour = 3;
  tm.tm_min = 5;
  tm.tm_sec = 9;
  timegm(&tm);
  tm.tm_isdst = -1;
  for (const char* flags : {"", "-", "_", "0", "^", "#", "_^", "0^", "-_", "0-", "^#"}) {
    for (const char* width : {"", "1", "2", "7", "30"}) {
      for (const char* modifier : {"", "E", "O"}) {
        for (const char directive : std::string("aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYQ%")) {
          // What glibc refuses it keeps, but these in upper case.
          const bool odd = *modifier == 'E' && std::string_view("bBh").find(directive) != std::string_view::npos;
          if (odd && std::string_view(flags).find('#') != std::string_view::npos) continue;
          const std::string format = std::string("%") + flags + width + modifier + directive;
          char expected[512];
          const size_t size = std::strftime(expected, sizeof(expected), format.c_str(), &tm);
          EXPECT_EQ(Strftime(time, format), std::string(expected, size)) << format;
        }
      }
    }
  }
}

TEST(Strftime, SecondsSince1970AreThoseOfTheTimeZone) {
  const char* before = std::getenv("TZ");
  const std::string kept = before == nullptr ? "" : before;
  const auto in_zone = [](const char* zone, const CivilTime& time) {
    setenv("TZ", zone, 1);
    tzset();
    return Strftime(time, "%s");
  };
  EXPECT_EQ(in_zone("UTC0", {2024, 7, 26, 13, 5, 9}), "1721999109");
  EXPECT_EQ(in_zone("EST5EDT,M3.2.0,M11.1.0", {2024, 7, 26, 13, 5, 9}), "1722013509");  // summer: 4 hours
  EXPECT_EQ(in_zone("EST5EDT,M3.2.0,M11.1.0", {2024, 1, 26, 13, 5, 9}), "1706292309");  // winter: 5 hours
  EXPECT_EQ(in_zone("UTC0", {1969, 12, 31, 23, 59, 59}), "-1");
  before == nullptr ? unsetenv("TZ") : setenv("TZ", kept.c_str(), 1);
  tzset();
}

TEST(Strftime, KeepsWhatItDoesNotKnow) {
  const CivilTime time{2024, 7, 26, 13, 5, 9};
  EXPECT_EQ(Strftime(time, "%f %z %"), "000000  %");
  EXPECT_EQ(Strftime(time, "%Q %-Q %_5Q %12345d %E"), "%Q %-Q  %_5Q %12345d %E");
}

TEST(Strftime, CarriesFieldsOutOfRange) {
  EXPECT_EQ(Strftime({2024, 13, 32, 25, 61, 61}, "%F %T"), "2025-02-02 02:02:01");
}

}  // namespace
}  // namespace kvasir::jinja
