#include "cli/flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/check.h"

namespace kvasir::cli {
namespace {

constexpr int64_t kNoUpperBound = std::numeric_limits<int>::max();

std::string RangeText(int64_t low, int64_t high) {
  return high >= kNoUpperBound ? fmt::format("{} or more", low) : fmt::format("from {} to {}", low, high);
}

}  // namespace

std::string FlagName(const std::string& names) {
  std::string best;
  for (const std::string& name : CLI::detail::split(names, ',')) {
    if (name.starts_with("--")) return name;
    if (best.empty()) best = name;
  }
  if (!best.starts_with('-'))
    std::transform(best.begin(), best.end(), best.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return best;
}

Flag AddValue(CLI::App& app, const std::string& names, const std::string& type, const std::string& help, Setter set,
              bool repeat) {
  const std::string flag = FlagName(names);
  // CLI11 reports what is wrong with a value by exceptions; Parse in program.cc catches them.
  const CLI::callback_t read = [flag, set = std::move(set)](const CLI::results_t& values) {
    for (const std::string& value : values) {
      if (const Status status = set(value); !status) {
        throw CLI::ValidationError(fmt::format("{} {}", flag, status.error().message));
      }
    }
    return true;
  };
  CLI::Option* option = app.add_option(names, read, help);
  option->type_name(type)->type_size(1)->expected(1);
  option->multi_option_policy(repeat ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::TakeLast);
  return Flag(option->allow_extra_args(false));
}

Flag AddSwitch(CLI::App& app, const std::string& names, bool& target, const std::string& help) {
  return Flag(app.add_flag(names, target, help));
}

Flag AddSwitch(CLI::App& app, const std::string& names, const std::function<void()>& act, const std::string& help) {
  return Flag(app.add_flag_callback(names, act, help));
}

void SetFooter(CLI::App& app, const std::string& text) {
  app.footer(text);
}

Flag Flag::Group(const std::string& heading) const {
  return Flag(option_->group(heading));
}

Flag Flag::Required(bool required) const {
  return Flag(option_->required(required));
}

Flag Flag::Excludes(const Flag& other) const {
  return Flag(option_->excludes(other.option_));
}

Flag Flag::Excludes(const std::string& names) const {
  return Flag(option_->excludes(names));
}

Flag Flag::Needs(const Flag& other) const {
  return Flag(option_->needs(other.option_));
}

Flag Flag::Many(int least, int most) const {
  return Flag(option_->expected(least, most)->allow_extra_args());
}

Flag Flag::Environment(const std::string& variable) const {
  return Flag(option_->envname(variable));
}

Flag AddText(CLI::App& app, const std::string& names, const std::string& type, const std::string& help,
             std::string& target) {
  return AddValue(app, names, type, help, [&target](std::string_view text) -> Status {
    target = text;
    return {};
  });
}

Flag AddTexts(CLI::App& app, const std::string& names, const std::string& type, const std::string& help,
              std::vector<std::string>& target) {
  const Setter add = [&target](std::string_view text) -> Status {
    if (text.empty()) return Fail(ErrorCode::kInvalidArgument, "is empty, but it must be some text");
    target.emplace_back(text);
    return {};
  };
  return AddValue(app, names, type, help, add, /*repeat=*/true);
}

Flag AddCount(CLI::App& app, const std::string& names, const std::string& help, int& target, int low, int high) {
  return AddValue(app, names, "N", help, [&target, low, high](std::string_view text) -> Status {
    KV_ASSIGN(const int64_t value, ParseCount(text, low, high));
    target = static_cast<int>(value);
    return {};
  });
}

Flag AddCounts(CLI::App& app, const std::string& names, const std::string& help, std::vector<int>& target, int low,
               int high) {
  return AddValue(app, names, "N,...", help, [&target, low, high](std::string_view text) -> Status {
    std::vector<int> values;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      const auto value = ParseCount(text.substr(begin, end - begin), low, high);
      begin = end + 1;
      if (!value) {
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("is '{}', but it must be whole numbers {} with commas between them", text,
                                RangeText(low, high)));
      }
      values.push_back(static_cast<int>(*value));
    }
    target = std::move(values);
    return {};
  });
}

Flag AddChoice(CLI::App& app, const std::string& names, std::initializer_list<const char*> choices,
               const std::string& help, const std::function<void(std::string_view)>& set) {
  const std::vector<std::string> allowed(choices.begin(), choices.end());
  const Setter check = [allowed, set](std::string_view text) -> Status {
    if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("is '{}', but it must be one of {}", text, fmt::join(allowed, ", ")));
    }
    set(text);
    return {};
  };
  return AddValue(app, names, fmt::format("{}", fmt::join(allowed, "|")), help, check);
}

Result<int64_t> ParseCount(std::string_view text, int64_t low, int64_t high) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= low && value <= high) return value;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("is '{}', but it must be a whole number {}", text, RangeText(low, high)));
}

Result<double> ParseReal(std::string_view text, bool allow_infinity) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool complete = error == std::errc() && end == text.data() + text.size();
  if (complete && (std::isfinite(value) || (allow_infinity && std::isinf(value)))) return value;
  return Fail(ErrorCode::kInvalidArgument, fmt::format("is '{}', but it must be a number such as 0.8", text));
}

}  // namespace kvasir::cli
