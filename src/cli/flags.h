// Options of commands: every value is read strictly, and an error names the flag, the value and what is allowed.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kvasir::cli {

/// An option that a command was given, to say more of it. As cheap to copy as a pointer.
///
/// Here and nowhere else the commands meet CLI11, whose header alone takes six seconds to compile.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}

  /// The heading under which the help lists it.
  Flag Group(const std::string& heading) const;
  /// Whether the command is refused without it.
  Flag Required(bool required = true) const;
  /// They are refused together. `names` as those of AddValue; the option must be there already.
  Flag Excludes(const Flag& other) const;
  Flag Excludes(const std::string& names) const;
  /// It is refused without `other`.
  Flag Needs(const Flag& other) const;
  /// It takes all values that follow, from `least` to `most`.
  Flag Many(int least, int most) const;
  /// Where it is not given, the environment's `variable` is its value.
  Flag Environment(const std::string& variable) const;

 private:
  CLI::Option* option_;
};

/// Takes the text of a value. An error message continues the sentence "--flag ...": "is 'x', but it must be ...".
using Setter = std::function<Status(std::string_view text)>;

/// Adds an option with one value per use. `names` as CLI11 has them: "-n,--max-tokens", or "file" for a positional one.
/// `type` is what the help shows for the value; completions read it too: MODEL, FILE, DIR, or choices as "a|b|c".
/// `repeat`: every use counts, else the last one.
Flag AddValue(CLI::App& app, const std::string& names, const std::string& type, const std::string& help, Setter set,
              bool repeat = false);

/// Any text.
Flag AddText(CLI::App& app, const std::string& names, const std::string& type, const std::string& help,
             std::string& target);
/// Texts, one per use of the option; none may be empty.
Flag AddTexts(CLI::App& app, const std::string& names, const std::string& type, const std::string& help,
              std::vector<std::string>& target);
/// A whole number from `low` to `high`.
Flag AddCount(CLI::App& app, const std::string& names, const std::string& help, int& target, int low,
              int high = std::numeric_limits<int>::max());
/// Whole numbers separated by commas, each from `low` to `high`. Replaces what `target` held.
Flag AddCounts(CLI::App& app, const std::string& names, const std::string& help, std::vector<int>& target, int low,
               int high);
/// One of `choices`; `set` is called with a valid one only.
Flag AddChoice(CLI::App& app, const std::string& names, std::initializer_list<const char*> choices,
               const std::string& help, const std::function<void(std::string_view)>& set);

/// An option without a value, which sets `target`.
Flag AddSwitch(CLI::App& app, const std::string& names, bool& target, const std::string& help);
/// An option without a value, which calls `act`.
Flag AddSwitch(CLI::App& app, const std::string& names, const std::function<void()>& act, const std::string& help);
/// What the help ends with: examples, and what is to be known beside the options.
void SetFooter(CLI::App& app, const std::string& text);

/// The whole of `text` as a decimal whole number from `low` to `high`; the error continues "... is 'x', but".
[[nodiscard]] Result<int64_t> ParseCount(std::string_view text, int64_t low, int64_t high);
/// The whole of `text` as a finite number, or with `allow_infinity` also "inf" and "-inf".
[[nodiscard]] Result<double> ParseReal(std::string_view text, bool allow_infinity = false);

/// The flag that a message should name: "--threads" of "-t,--threads", "MODEL" of a positional option.
[[nodiscard]] std::string FlagName(const std::string& names);

}  // namespace kvasir::cli
