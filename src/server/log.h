// One line per event, for people and for programs, without anything that a user wrote.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir::server {

using LogFields = std::vector<std::pair<std::string_view, std::string>>;

enum class LogFormat { kText, kJson, kOff };

/// Writes "time=... event=... key=value ..." or a JSON object per line to standard error. Thread-safe. Values are
/// escaped: a line break in one cannot begin a line.
class Log {
 public:
  explicit Log(LogFormat format) : format_(format) {}
  void Write(std::string_view event, const LogFields& fields);

 private:
  LogFormat format_;
  std::mutex mutex_;
};

/// One event as a line, without the line break. `time` is what stands first.
[[nodiscard]] std::string FormatLogLine(LogFormat format, std::string_view time, std::string_view event,
                                        const LogFields& fields);

}  // namespace kvasir::server
