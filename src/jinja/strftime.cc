#include "jinja/strftime.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>

#include "base/ascii.h"

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

/// What stands between % and the letter.
struct Style {
  char padding = 0;  ///< '-' nothing, '_' blanks, '0' zeros; 0 is the directive's own
  bool upper = false;
  bool change_case = false;
  size_t width = 0;
  bool too_wide = false;  ///< The width has more than three digits.
  char modifier = 0;      ///< 'E', 'O', or none
};

/// A text, which blanks or, when asked for, zeros make wider.
std::string Words(std::string text, const Style& style, bool upper) {
  if (upper) text = base::Uppered(text);
  if (text.size() >= style.width) return text;
  return text.insert(0, style.width - text.size(), style.padding == '0' ? '0' : ' ');
}

/// A number of `digits` digits, filled with zeros unless `fill` or the style says otherwise.
std::string Number(int64_t value, size_t digits, const Style& style, char fill = '0') {
  std::string text = fmt::format("{}", value);
  if (style.padding == '-') return Words(std::move(text), style, false);
  if (style.padding == '_') fill = ' ';
  if (style.padding == '0') fill = '0';
  const size_t width = std::max(digits, style.width);
  return text.size() >= width ? text : text.insert(0, width - text.size(), fill);
}

/// The directives that take no E, and those that take no O.
bool TakesModifier(char directive, char modifier) {
  if (modifier == 'E') return std::string_view("aAbBdDeFgGhHIjklmMSUVwW").find(directive) == std::string_view::npos;
  if (modifier == 'O') return std::string_view("aAcDFxXY").find(directive) == std::string_view::npos;
  return true;
}

/// Seconds since 1970 of a local time.
int64_t Epoch(const Fields& f) {
  std::tm local{};
  local.tm_year = f.year - 1900;
  local.tm_mon = f.month - 1;
  local.tm_mday = f.day;
  local.tm_hour = f.hour;
  local.tm_min = f.minute;
  local.tm_sec = f.second;
  local.tm_isdst = -1;
  return std::mktime(&local);
}

/// One directive, or nothing when there is no such.
std::optional<std::string> Directive(const Fields& f, char directive, const Style& style) {
  if (style.too_wide || !TakesModifier(directive, style.modifier)) return std::nullopt;
  const int hour12 = f.hour % 12 == 0 ? 12 : f.hour % 12;
  const auto weekday = kWeekdays[f.weekday];
  const auto month = kMonths[f.month - 1];
  const char* half = f.hour < 12 ? "am" : "pm";
  const auto number = [&](int64_t value, size_t digits, char fill = '0') { return Number(value, digits, style, fill); };
  const auto name = [&](std::string_view text) {
    return Words(std::string(text), style, style.upper || style.change_case);
  };
  const auto words = [&](std::string text) { return Words(std::move(text), style, style.upper); };
  switch (directive) {
    case 'a': return name(weekday.substr(0, 3));
    case 'A': return name(weekday);
    case 'b':
    case 'h': return name(month.substr(0, 3));
    case 'B': return name(month);
    case 'c':
      return words(fmt::format("{} {} {:>2} {:02}:{:02}:{:02} {}", weekday.substr(0, 3), month.substr(0, 3), f.day,
                               f.hour, f.minute, f.second, f.year));
    case 'C': return number(f.year / 100, 2);
    case 'd': return number(f.day, 2);
    case 'D':
    case 'x': return words(fmt::format("{:02}/{:02}/{:02}", f.month, f.day, f.year % 100));
    case 'e': return number(f.day, 2, ' ');
    case 'F': return words(fmt::format("{}-{:02}-{:02}", f.year, f.month, f.day));
    case 'g': return number(IsoWeek(f).first % 100, 2);
    case 'G': return number(IsoWeek(f).first, 1);
    case 'H': return number(f.hour, 2);
    case 'I': return number(hour12, 2);
    case 'j': return number(f.year_day + 1, 3);
    case 'k': return number(f.hour, 2, ' ');
    case 'l': return number(hour12, 2, ' ');
    case 'm': return number(f.month, 2);
    case 'M': return number(f.minute, 2);
    case 'n': return words("\n");
    case 'p': return Words(half, style, !style.change_case);
    case 'P': return Words(half, style, false);
    case 'r': return words(fmt::format("{:02}:{:02}:{:02} {}", hour12, f.minute, f.second, f.hour < 12 ? "AM" : "PM"));
    case 'R': return words(fmt::format("{:02}:{:02}", f.hour, f.minute));
    case 's': return words(fmt::format("{}", Epoch(f)));
    case 'S': return number(f.second, 2);
    case 't': return words("\t");
    case 'T':
    case 'X': return words(fmt::format("{:02}:{:02}:{:02}", f.hour, f.minute, f.second));
    case 'u': return number(f.weekday == 0 ? 7 : f.weekday, 1);
    case 'U': return number((f.year_day + 7 - f.weekday) / 7, 2);
    case 'V': return number(IsoWeek(f).second, 2);
    case 'w': return number(f.weekday, 1);
    case 'W': return number((f.year_day + 7 - (f.weekday + 6) % 7) / 7, 2);
    case 'y': return number(f.year % 100, 2);
    case 'Y': return number(f.year, 1);
    case '%': return words("%");
    default: return std::nullopt;
  }
}

/// Reads what stands between the % before `at` and the letter, and moves `at` to that.
Style ReadStyle(std::string_view format, size_t& at) {
  constexpr size_t kMostDigits = 3;
  Style style;
  const auto here = [&] { return at < format.size() ? format[at] : '\0'; };
  for (; here() != '\0' && std::string_view("-_0^#").find(here()) != std::string_view::npos; ++at) {
    if (here() == '^') {
      style.upper = true;
    } else if (here() == '#') {
      style.change_case = true;
    } else {
      style.padding = here();
    }
  }
  for (size_t i = 0; here() >= '0' && here() <= '9'; ++i, ++at) {
    style.too_wide = i >= kMostDigits;
    if (!style.too_wide) style.width = style.width * 10 + static_cast<size_t>(here() - '0');
  }
  if (style.too_wide) style.width = 0;
  if (here() == 'E' || here() == 'O') style.modifier = format[at++];
  return style;
}

}  // namespace

std::string Strftime(const CivilTime& time, std::string_view format) {
  const Fields fields = Resolve(time);
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    size_t at = i + 1;
    // Python answers these itself, and only where nothing stands between % and the letter. The time has no zone.
    if (at < format.size() && (format[at] == 'f' || format[at] == 'z' || format[at] == 'Z')) {
      if (format[at] == 'f') out += "000000";
      i = at;
      continue;
    }
    const Style style = ReadStyle(format, at);
    const auto text = at < format.size() ? Directive(fields, format[at], style) : std::nullopt;
    out += text ? *text : Words(std::string(format.substr(i, at + 1 - i)), style, style.upper);
    i = at;
  }
  return out;
}

}  // namespace kvasir::jinja
