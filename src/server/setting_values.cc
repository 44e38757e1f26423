#include "server/setting_values.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

#include "base/check.h"
#include "server/settings.h"

namespace kvasir::server {
namespace {

struct Unit {
  char letter;
  unsigned shift;
};
constexpr auto kUnits = std::to_array<Unit>({{'G', 30}, {'M', 20}, {'K', 10}});

}  // namespace

Result<int64_t> ParseWhole(std::string_view text, int64_t low, int64_t high) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= low && value <= high) return value;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("is '{}', but it must be a whole number from {} to {}", text, low, high));
}

Result<double> ParseReal(std::string_view text, double low, double high) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= low && value <= high) return value;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("is '{}', but it must be a number from {} to {}", text, low, high));
}

Result<bool> ParseSwitch(std::string_view text) {
  if (text == "on" || text == "true" || text == "1") return true;
  if (text == "off" || text == "false" || text == "0") return false;
  return Fail(ErrorCode::kInvalidArgument, fmt::format("is '{}', but it must be on or off", text));
}

Result<size_t> ParseBytes(std::string_view text) {
  std::string_view digits = text;
  unsigned shift = 0;
  for (const Unit& unit : kUnits) {
    if (text.ends_with(unit.letter)) {
      digits.remove_suffix(1);
      shift = unit.shift;
    }
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc() && end == digits.data() + digits.size() && value <= (uint64_t{1} << 50U) >> shift) {
    return value << shift;
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("is '{}', but it must be bytes such as 1048576, 512K, 64M or 4G", text));
}

std::string FormatBytes(size_t bytes) {
  for (const Unit& unit : kUnits) {
    if (bytes > 0 && bytes % (size_t{1} << unit.shift) == 0)
      return fmt::format("{}{}", bytes >> unit.shift, unit.letter);
  }
  return fmt::to_string(bytes);
}

}  // namespace kvasir::server
