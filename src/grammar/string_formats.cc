#include "grammar/string_formats.h"

#include <fmt/format.h>

#include <array>

#include "base/check.h"
#include "grammar/regex.h"

namespace kvasir::grammar {
namespace {

// Dates that exist (RFC 3339): the days of each month, and the 29th of February in leap years only. There is no year 0.
std::string DatePattern() {
  const std::string year = "(?:[1-9]\\d{3}|0[1-9]\\d{2}|00[1-9]\\d|000[1-9])";
  const std::string leap = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)";
  const std::string days =
      "(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8])";
  return fmt::format("(?:{}-(?:{})|{}-02-29)", year, days, leap);
}

constexpr const char* kTime =
    "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
constexpr const char* kOctet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";

// Either eight groups, or some before and some after the ::, which stands for at least one.
std::string Ipv6Pattern() {
  const std::string group = "[0-9a-fA-F]{1,4}";
  std::string out = fmt::format("(?:{0}:){{7}}{0}", group);
  for (int before = 0; before <= 7; ++before) {
    const std::string left = before == 0 ? "" : fmt::format("{0}(?::{0}){{{1}}}", group, before - 1);
    const int most = 7 - before;
    const std::string right = most == 0 ? "" : fmt::format("(?:{0}(?::{0}){{0,{1}}})?", group, most - 1);
    out += "|" + left + "::" + right;
  }
  return out;
}

std::string DurationPattern() {
  const std::string time = "T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S)";
  const std::string date = "(?:\\d{1,9}D|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?)";
  return fmt::format("P(?:{0}(?:{1})?|{1}|\\d{{1,9}}W)", date, time);
}

constexpr const char* kLabel = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?";

struct Format {
  const char* name;
  std::string (*pattern)();
};
constexpr auto kFormats = std::to_array<Format>({
    {"date", DatePattern},
    {"time", [] { return std::string(kTime); }},
    {"date-time", [] { return DatePattern() + "T" + kTime; }},
    {"duration", DurationPattern},
    {"uuid", [] { return std::string("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"); }},
    {"ipv4", [] { return fmt::format("{0}(?:\\.{0}){{3}}", kOctet); }},
    {"ipv6", Ipv6Pattern},
    {"hostname", [] { return fmt::format("{0}(?:\\.{0}){{0,4}}", kLabel); }},
    {"email",
     [] {
       const std::string atom = "[a-zA-Z0-9_+-]{1,20}";
       return fmt::format("{0}(?:\\.{0}){{0,2}}@{1}(?:\\.{1}){{1,3}}", atom, kLabel);
     }},
    {"uri",
     [] {
       const std::string path = "(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})";
       return fmt::format(
           "https?://{0}(?:\\.{0}){{0,4}}(?::[1-9]\\d{{0,3}})?(?:/{1}*)*(?:\\?(?:{1}|/)*)?(?:#(?:{1}|/)*)?", kLabel,
           path);
     }},
});

}  // namespace

Result<Dfa> FormatDfa(std::string_view name) {
  std::string known;
  for (const Format& format : kFormats) {
    if (format.name == name) return RegexDfa(format.pattern(), RegexMatch::kWhole);
    known += (known.empty() ? "" : ", ") + std::string(format.name);
  }
  return Fail(ErrorCode::kUnsupported, fmt::format("the format {} is not known; there are: {}", name, known));
}

}  // namespace kvasir::grammar
