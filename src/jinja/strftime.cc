#include "jinja/strftime.h"

#include <fmt/format.h>

#include <chrono>

namespace kvasir::jinja {

namespace {

constexpr std::string_view kWeekdays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                        "July",    "August",   "September", "October", "November", "December"};

struct Fields {
  int year, month, day, hour, minute, second;
  int weekday;   ///< 0 is Sunday
  int year_day;  ///< 0 is the first of January
};

Fields Resolve(const CivilTime& time) {
  using std::chrono::days;
  // Day 1 plus an offset: a month or day out of range is carried instead of being undefined.
  const int months = time.year * 12 + time.month - 1;
  const std::chrono::year_month first{std::chrono::year{months / 12},
                                      std::chrono::month(static_cast<unsigned>(months % 12 + 1))};
  const int64_t seconds = int64_t{time.hour} * 3600 + int64_t{time.minute} * 60 + time.second;
  const auto moment = std::chrono::sys_days(first / 1) + days(time.day - 1) + std::chrono::seconds(seconds);
  const auto date = std::chrono::floor<days>(moment);
  const std::chrono::year_month_day ymd(date);
  const std::chrono::hh_mm_ss clock(moment - date);
  return {static_cast<int>(ymd.year()),
          static_cast<int>(static_cast<unsigned>(ymd.month())),
          static_cast<int>(static_cast<unsigned>(ymd.day())),
          static_cast<int>(clock.hours().count()),
          static_cast<int>(clock.minutes().count()),
          static_cast<int>(clock.seconds().count()),
          static_cast<int>(std::chrono::weekday(date).c_encoding()),
          static_cast<int>((date - std::chrono::sys_days(ymd.year() / 1 / 1)).count())};
}

/// ISO 8601: the year and number of the week, which belongs to the year of its Thursday.
std::pair<int, int> IsoWeek(const Fields& f) {
  const int monday_based = (f.weekday + 6) % 7;
  const int thursday = f.year_day - monday_based + 3;
  const auto days_in = [](int year) { return std::chrono::year{year}.is_leap() ? 366 : 365; };
  if (thursday < 0) return {f.year - 1, (thursday + days_in(f.year - 1)) / 7 + 1};
  if (thursday >= days_in(f.year)) return {f.year + 1, 1};
  return {f.year, thursday / 7 + 1};
}

/// A number of `width` digits, filled with zeros, or as the glibc flag says: '-' nothing, '_' blanks.
std::string Number(int value, int width, char flag, char fill = '0') {
  if (flag == '-') return fmt::format("{}", value);
  if (flag == '_') fill = ' ';
  if (flag == '0') fill = '0';
  return fill == ' ' ? fmt::format("{:>{}}", value, width) : fmt::format("{:0{}}", value, width);
}

std::string Directive(const Fields& f, char directive, char flag) {
  const int hour12 = f.hour % 12 == 0 ? 12 : f.hour % 12;
  const auto weekday = kWeekdays[f.weekday];
  const auto month = kMonths[f.month - 1];
  switch (directive) {
    case 'a': return std::string(weekday.substr(0, 3));
    case 'A': return std::string(weekday);
    case 'b':
    case 'h': return std::string(month.substr(0, 3));
    case 'B': return std::string(month);
    case 'c':
      return fmt::format("{} {} {:>2} {:02}:{:02}:{:02} {}", weekday.substr(0, 3), month.substr(0, 3), f.day, f.hour,
                         f.minute, f.second, f.year);
    case 'C': return Number(f.year / 100, 2, flag);
    case 'd': return Number(f.day, 2, flag);
    case 'D':
    case 'x': return fmt::format("{:02}/{:02}/{:02}", f.month, f.day, f.year % 100);
    case 'e': return Number(f.day, 2, flag, ' ');
    case 'f': return "000000";
    case 'F': return fmt::format("{}-{:02}-{:02}", f.year, f.month, f.day);
    case 'g': return Number(IsoWeek(f).first % 100, 2, flag);
    case 'G': return fmt::format("{}", IsoWeek(f).first);
    case 'H': return Number(f.hour, 2, flag);
    case 'I': return Number(hour12, 2, flag);
    case 'j': return Number(f.year_day + 1, 3, flag);
    case 'k': return Number(f.hour, 2, flag, ' ');
    case 'l': return Number(hour12, 2, flag, ' ');
    case 'm': return Number(f.month, 2, flag);
    case 'M': return Number(f.minute, 2, flag);
    case 'n': return "\n";
    case 'p': return f.hour < 12 ? "AM" : "PM";
    case 'P': return f.hour < 12 ? "am" : "pm";
    case 'r': return fmt::format("{:02}:{:02}:{:02} {}", hour12, f.minute, f.second, f.hour < 12 ? "AM" : "PM");
    case 'R': return fmt::format("{:02}:{:02}", f.hour, f.minute);
    case 'S': return Number(f.second, 2, flag);
    case 't': return "\t";
    case 'T':
    case 'X': return fmt::format("{:02}:{:02}:{:02}", f.hour, f.minute, f.second);
    case 'u': return fmt::format("{}", f.weekday == 0 ? 7 : f.weekday);
    case 'U': return Number((f.year_day + 7 - f.weekday) / 7, 2, flag);
    case 'V': return Number(IsoWeek(f).second, 2, flag);
    case 'w': return fmt::format("{}", f.weekday);
    case 'W': return Number((f.year_day + 7 - (f.weekday + 6) % 7) / 7, 2, flag);
    case 'y': return Number(f.year % 100, 2, flag);
    case 'Y': return fmt::format("{}", f.year);
    case 'z':
    case 'Z': return "";
    case '%': return "%";
    default: return flag == 0 ? fmt::format("%{}", directive) : fmt::format("%{}{}", flag, directive);
  }
}

}  // namespace

std::string Strftime(const CivilTime& time, std::string_view format) {
  const Fields fields = Resolve(time);
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      out += format[i];
      continue;
    }
    char flag = 0;
    ++i;
    if ((format[i] == '-' || format[i] == '_' || format[i] == '0') && i + 1 < format.size()) flag = format[i++];
    out += Directive(fields, format[i], flag);
  }
  return out;
}

}  // namespace kvasir::jinja
