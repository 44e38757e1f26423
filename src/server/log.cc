#include "server/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "server/json.h"

namespace kvasir::server {
namespace {

bool IsPlain(char c) {
  return c > ' ' && c < 127 && c != '"' && c != '\\' && c != '=';
}

// As it is if that is unambiguous, else as a JSON text.
std::string Quoted(const std::string& value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), IsPlain);
  return plain ? value : Json(value).dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

}  // namespace

std::string FormatLogLine(LogFormat format, std::string_view time, std::string_view event, const LogFields& fields) {
  if (format == LogFormat::kJson) {
    Json line = {{"time", time}, {"event", event}};
    for (const auto& [name, value] : fields) line[std::string(name)] = value;
    return line.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  }
  std::string line = fmt::format("time={} event={}", time, event);
  for (const auto& [name, value] : fields) line += fmt::format(" {}={}", name, Quoted(value));
  return line;
}

void Log::Write(std::string_view event, const LogFields& fields) {
  if (format_ == LogFormat::kOff) return;
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(now);
  const std::string time = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), (now - seconds).count());
  const std::string line = FormatLogLine(format_, time, event, fields) + "\n";
  const std::lock_guard lock(mutex_);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace kvasir::server
